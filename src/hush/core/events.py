"""Events: all that the outside learns of a run, as small records handed to ``tracer=`` objects in order.

Every event begins with ``run`` (the request id), ``path`` (``"graph/map/node"``), ``item`` (the index in the
innermost map around the node, or ``None``) and ``at_ns`` (``time.monotonic_ns``; ``RunStarted.wall_ns`` is the
same instant in nanoseconds since the epoch). ``outer`` holds the indexes of the maps further out, outermost first.
Graphs, maps and loops have the events of nodes too, besides their own. Without a tracer no event is made.

What nodes read and gave is told only in runs with a tracer that asks for it (``protocols.CallTracer``); else
``NodeCalled`` does not come, and ``inputs`` and ``outputs`` are ``None``. Those mappings are the run's own: they must
not be changed, and what they hold may change as soon as ``emit`` has returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from hush.core._map_events import (
    ItemFailed,
    ItemFinished,
    ItemsRan,
    MapFinished,
    MapProgressed,
    MapStarted,
    RoundFinished,
)

__all__ = (
    "Event",
    "ItemFailed",
    "ItemFinished",
    "ItemsRan",
    "MapFinished",
    "MapProgressed",
    "MapStarted",
    "NodeAdmitted",
    "NodeAnswered",
    "NodeCached",
    "NodeCalled",
    "NodeCancelled",
    "NodeChunk",
    "NodeFailed",
    "NodeFinished",
    "NodeQueued",
    "NodeRan",
    "NodeReady",
    "NodeReleased",
    "NodeRerouted",
    "NodeRetrying",
    "NodeSkipped",
    "NodeStarted",
    "RoundFinished",
    "RunFinished",
    "RunStarted",
)


class RunStarted(NamedTuple):
    """A run began. ``path`` is the graph's name.

    ``kinds`` says of every node in it, by path, what kind it is, such as ``"code"``, ``"map"`` or ``"llm"``. It is told
    where ``inputs`` are.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    wall_ns: int
    user_id: str | None = None
    session_id: str | None = None
    outer: tuple[int, ...] = ()
    inputs: Mapping[str, Any] | None = None
    kinds: Mapping[str, str] | None = None


class RunFinished(NamedTuple):
    """A run ended; always the last event. ``status`` is ``ok``, ``partial``, ``failed`` or ``cancelled``.

    Of the first two there is a ``result``, what ``run`` returns; of the others an ``error``, what it raises.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    status: str
    seconds: float
    error: BaseException | None = None
    result: Any = None
    tags: tuple[str, ...] = ()
    outer: tuple[int, ...] = ()


class NodeReady(NamedTuple):
    """All that a node waits for has arrived."""

    run: str
    path: str
    item: int | None
    at_ns: int
    outer: tuple[int, ...] = ()


class NodeStarted(NamedTuple):
    """A node's function, graph, map or loop is about to be called.

    ``number`` counts the starts of nodes in the run, from 1; it is 0 where nobody counted. Each start has one end:
    ``NodeFinished``, ``NodeFailed`` or ``NodeCancelled``; only a graph or a loop that ends with what holds it has none.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    outer: tuple[int, ...] = ()
    number: int = 0


class NodeQueued(NamedTuple):
    """A node's call has to wait for its ``limits``, which are told by name. ``attempt`` counts from 1.

    A node with ``executor="process"`` waits for ``"worker processes"`` as for a limit, after all others.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    limits: tuple[str, ...] = ()
    attempt: int = 1
    outer: tuple[int, ...] = ()


class NodeAdmitted(NamedTuple):
    """A node's limits let it call its function, after ``waited_s`` seconds, 0 if it was never ``NodeQueued``."""

    run: str
    path: str
    item: int | None
    at_ns: int
    limits: tuple[str, ...] = ()
    waited_s: float = 0.0
    attempt: int = 1
    outer: tuple[int, ...] = ()


class NodeReleased(NamedTuple):
    """A node's call has ended, well or not, and its place under its limits is free again.

    A call that is left behind in its thread keeps its place until it returns; that is told if the run still goes on.
    Of a call that is late in a thread it comes after the node's ``NodeFailed``.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    limits: tuple[str, ...] = ()
    attempt: int = 1
    outer: tuple[int, ...] = ()


class NodeCalled(NamedTuple):
    """A node's function is called now with ``inputs``, or its graph, map or loop has read them; see above.

    ``attempt`` counts from 1, ``number`` is that of its ``NodeStarted``. Where a resource serves a node, its function
    only makes a request, and is told of once; then each request is told of without ``inputs``, with the key of the
    ``resource`` that is asked, and with what is asked of it in ``about``, plain data. Of a model that is ``requested``
    (what it is asked for by), ``provider``, ``parameters``, and ``messages`` where they are not among the inputs. What
    is not known is not there, or ``None``.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    inputs: Mapping[str, Any] | None = None
    attempt: int = 1
    resource: str | None = None
    outer: tuple[int, ...] = ()
    number: int = 0
    about: Mapping[str, Any] | None = None


class NodeFinished(NamedTuple):
    """A node ended well.

    ``thread_ns`` is how long its function took where it was called in a worker thread, measured there, all attempts
    together; it is told where ``outputs`` are.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    outer: tuple[int, ...] = ()
    outputs: Mapping[str, Any] | None = None
    thread_ns: int | None = None


class NodeRan(NamedTuple):
    """A node's function ran on the loop and ended well: ``NodeReady``, ``Started``, ``Called`` and ``Finished`` in one.

    Only tracers that ask for it get it (``protocols.TerseTracer``), in place of those, for a call that nothing came
    between: no limit, no second attempt, no thread. It may have been awaited. ``at_ns`` is its end, and ``inputs`` are
    as they are then. A branch has no ``inputs``. ``number`` is as of ``NodeStarted``. If ``ends_item`` is true its item
    has ended well with it, of which no ``ItemFinished`` tells then (``protocols.SamplingTracer``).
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    outer: tuple[int, ...]
    ready_ns: int | None
    started_ns: int
    inputs: Mapping[str, Any] | None
    outputs: Mapping[str, Any]
    number: int = 0
    ends_item: bool = False


class NodeFailed(NamedTuple):
    """A node raised, or was late. ``handled`` says whether the graph goes on without it.

    ``thread_ns`` is as of ``NodeFinished``.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    error: BaseException
    handled: bool = False
    outer: tuple[int, ...] = ()
    thread_ns: int | None = None


class NodeCancelled(NamedTuple):
    """A node's call was cancelled, and has ended: something else failed or was late, or the run was cancelled.

    A call that is left behind in its thread has one when it is. A graph or loop that is cancelled has none of its own
    unless it handles what fails in it, or has a deadline.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    outer: tuple[int, ...] = ()


class NodeRetrying(NamedTuple):
    """A node's attempt ``attempt``, from 1, raised ``error``; the next one follows ``wait_s`` seconds from now.

    ``error`` no longer holds the values that were in its frames.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    attempt: int
    error: BaseException
    wait_s: float
    outer: tuple[int, ...] = ()


class NodeRerouted(NamedTuple):
    """The ``resource`` that a node asked has failed with ``error``, after ``attempt`` attempts in all; ``to`` is asked.

    Both are keys, such as ``"llm:gpt-4"``.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    attempt: int
    error: BaseException
    resource: str
    to: str
    outer: tuple[int, ...] = ()


class NodeChunk(NamedTuple):
    """A part of what a node is answered has come. Told where the answer is streamed, as it is in ``engine.stream``.

    ``kind`` is ``"content"``, or what else there is of an answer, such as ``"thinking"``. An attempt that fails in the
    middle is begun anew: the parts of one answer are those with the same, highest ``attempt``. What the node gives
    in the end is whole.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    text: str
    kind: str = "content"
    attempt: int = 1
    outer: tuple[int, ...] = ()


class NodeAnswered(NamedTuple):
    """A resource has answered a node: what it says of its answer, in runs with a tracer that asks for calls.

    ``about`` is what the resource tells, and plain data. A model's: ``model`` (as its server calls it),
    ``requested`` (as it was asked for), ``provider``, ``server`` (``"api.example.com:443"``), ``usage``, ``cost``
    in US dollars, ``finish_reason``, ``response_id`` (the server's own). What is not known is not there, or
    ``None``. Where it is asked for again, each answer has one; one that comes from a cache has none.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    resource: str
    about: Mapping[str, Any]
    attempt: int = 1
    outer: tuple[int, ...] = ()


class NodeCached(NamedTuple):
    """A node's outputs came from its cache, or, if ``joined``, from an identical call that was under way.

    It comes between the node's ``NodeStarted`` and ``NodeFinished``, or ``NodeFailed``, if it was the identical call
    that failed. Whose outputs were made for it has none.
    """

    run: str
    path: str
    item: int | None
    at_ns: int
    joined: bool = False
    outer: tuple[int, ...] = ()


class NodeSkipped(NamedTuple):
    """A node will not run: no branch chose it, nothing live arrived, or what it reads is not there."""

    run: str
    path: str
    item: int | None
    at_ns: int
    outer: tuple[int, ...] = ()


Event: TypeAlias = (
    RunStarted
    | RunFinished
    | NodeReady
    | NodeStarted
    | NodeCalled
    | NodeQueued
    | NodeAdmitted
    | NodeReleased
    | NodeRan
    | NodeFinished
    | NodeFailed
    | NodeCancelled
    | NodeRetrying
    | NodeRerouted
    | NodeChunk
    | NodeAnswered
    | NodeCached
    | NodeSkipped
    | MapStarted
    | MapProgressed
    | MapFinished
    | RoundFinished
    | ItemFinished
    | ItemFailed
    | ItemsRan
)
