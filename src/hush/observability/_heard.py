"""What a node that is under way hears between its start and its end: calls, attempts, limits, answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hush.core.events import (
    NodeAdmitted,
    NodeAnswered,
    NodeCached,
    NodeCalled,
    NodeChunk,
    NodeQueued,
    NodeReleased,
    NodeRerouted,
    NodeRetrying,
)
from hush.observability._span import Failure, Generation, Wait
from hush.observability._under_way import Try, UnderWay


def _called(one: UnderWay, event: NodeCalled) -> None:
    one.pause = None
    if one.called_ns is None or (event.resource is not None and one.resource is None):
        one.called_ns = event.at_ns
    inputs: Any = event.inputs
    if inputs is not None and one.inputs is None:
        one.inputs = inputs
    if event.resource is not None:
        about: Any = event.about
        _asked(one, event.resource, Generation() if about is None else about)
    elif event.attempt == 1:
        return  # nearly all nodes are called once, and need no list of that
    tries = one.tries
    if tries is None:
        tries = one.tries = []
    if tries and tries[-1].number >= event.attempt:
        return
    tries.append(Try(event.attempt, event.at_ns, None, None, event.resource))
    one.attempts = max(one.attempts, event.attempt)


def _asked(one: UnderWay, resource: str, asked: Generation) -> None:
    """What is asked now is what was asked; what earlier answers took stays."""
    one.resource = resource
    now = {name: getattr(asked, name) for name in ("requested", "provider", "server", "parameters", "messages")}
    one.generation = (one.generation or asked)._replace(resource=resource, **now)


def _answered(one: UnderWay, event: NodeAnswered) -> None:
    """A model has answered, and may be asked once more: what that takes adds up."""
    said: Any = event.about
    before = one.generation or Generation()
    usage, cost = said.usage, said.cost
    if one.answered:
        usage = {name: (before.usage or {}).get(name, 0) + count for name, count in (usage or {}).items()}
        cost = None if cost is None or before.cost is None else before.cost + cost
    one.answered = True
    one.generation = said._replace(usage=usage, cost=cost, parameters=before.parameters, messages=before.messages)


def _retrying(one: UnderWay, event: NodeRetrying) -> None:
    one.retry_s += event.wait_s
    one.attempts = max(one.attempts, event.attempt)  # the next one is not made if the node is cancelled before
    failure: Any = event.error
    one.pause = (event.at_ns, event.wait_s)
    one.changed = True
    _tried(one, event.attempt, event.at_ns, failure)


def _rerouted(one: UnderWay, event: NodeRerouted) -> None:
    failure: Any = event.error
    one.rerouted = (*one.rerouted, (event.resource, failure))
    _tried(one, event.attempt, event.at_ns, failure)


def _tried(one: UnderWay, number: int, at_ns: int, failure: Failure) -> None:
    """An attempt has failed and is not the last. Where nobody was told of its call, it began when it was admitted."""
    tries = one.tries
    if tries is None:
        tries = one.tries = []
    for place, each in enumerate(tries):
        if each.number == number:
            tries[place] = each._replace(ended_ns=at_ns, failure=failure)
            return
    admitted = [wait.admitted_ns for wait in one.waits or () if wait.attempt == number and wait.admitted_ns]
    began_ns = admitted[-1] if admitted else tries[-1].ended_ns if tries else one.called_ns
    tries.append(Try(number, one.started_ns if began_ns is None else began_ns, at_ns, failure, one.resource))


def _queued(one: UnderWay, event: NodeQueued) -> None:
    one.pause = None
    if one.waits is None:
        one.waits = []
    one.waits.append(Wait(event.limits, event.at_ns, None, None, event.attempt))
    one.changed = True


def _admitted(one: UnderWay, event: NodeAdmitted) -> None:
    one.pause = None
    if one.waits is None:
        one.waits = []
    last = one.waits[-1] if one.waits else None
    if last is not None and last.admitted_ns is None and last.attempt == event.attempt:
        let_in_ns = min(event.at_ns, last.queued_ns + round(event.waited_s * 1e9))
        one.waits[-1] = last._replace(admitted_ns=event.at_ns, let_in_ns=max(last.queued_ns, let_in_ns))
        one.changed = True
    else:
        one.waits.append(Wait(event.limits, event.at_ns - int(event.waited_s * 1e9), event.at_ns, None, event.attempt))


def _released(one: UnderWay, event: NodeReleased) -> None:
    waits = one.waits
    if waits is None:
        return
    for place in range(len(waits) - 1, -1, -1):
        if waits[place].attempt == event.attempt and waits[place].limits == event.limits:
            waits[place] = waits[place]._replace(released_ns=event.at_ns)
            return


def _chunk(one: UnderWay, event: NodeChunk) -> None:
    if one.first_ns is None:
        one.first_ns = event.at_ns


def _cached(one: UnderWay, event: NodeCached) -> None:
    one.cached = "joined" if event.joined else "hit"


HEARD: dict[type, Callable[[UnderWay, Any], None]] = {
    NodeCalled: _called,
    NodeRetrying: _retrying,
    NodeRerouted: _rerouted,
    NodeQueued: _queued,
    NodeAdmitted: _admitted,
    NodeAnswered: _answered,
    NodeReleased: _released,
    NodeChunk: _chunk,
    NodeCached: _cached,
}
