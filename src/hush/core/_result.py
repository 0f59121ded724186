"""``Result``: what a run gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Protocol

from hush.core.errors import Errors, MissingKeyError, missing_key


class Known(Protocol):
    """What a result asks of its run."""

    @property
    def id(self) -> str:
        """The request id."""
        ...

    @property
    def partial(self) -> bool:
        """Whether something failed that nobody named."""
        ...

    def tags(self) -> tuple[str, ...]:
        """The tags, each once."""
        ...

    def errors(self) -> Errors:
        """The failures that the run went on without."""
        ...


class Outputs(dict[str, Any]):
    """What one node gave, by key."""

    def __init__(self, path: str, outputs: Mapping[str, Any]) -> None:
        super().__init__(outputs)
        self._path = path

    def __missing__(self, key: object) -> NoReturn:
        raise missing_key(self._path, key, self)


class Nodes(dict[str, Outputs]):
    """What the nodes of a run gave, by path. ``nodes["outer/inner"]`` also finds ``"graph/outer/inner"``.

    Nodes inside maps are not here by themselves: the columns of the map are. Of nodes inside loops, the last round's.
    """

    def __init__(self, root: str, kept: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__({path: Outputs(path, outputs) for path, outputs in kept.items()})
        self._root = root

    def __missing__(self, path: object) -> Outputs:
        found = dict.get(self, f"{self._root}/{path}")
        if found is None:
            raise missing_key("the record of nodes", path, self._names())
        return found

    def _names(self) -> Iterable[str]:
        return [path.removeprefix(f"{self._root}/") for path in self]

    def __contains__(self, path: object) -> bool:
        return dict.__contains__(self, path) or dict.__contains__(self, f"{self._root}/{path}")

    def get(self, path: str, default: Any = None) -> Any:
        return self[path] if path in self else default  # noqa: SIM401  # ``get`` knows one spelling only


class Result(dict[str, Any]):
    """The outputs of a run, by key, with what else is known of it.

    Attributes:
        request_id: As it was given, else made.
        user_id: As it was given.
        session_id: As it was given.
        status: ``"ok"``, or ``"partial"`` if something failed that nobody named.
        seconds: How long the run took.
        errors: The failures that the run went on without, in order of path and item. At most 100 of each node or map
            are kept; ``errors.total`` counts them all.
        tags: What functions returned under ``"$tags"``.
        nodes: With ``keep=True``: what each node gave, ``result.nodes["outer/inner"]["key"]``.
    """

    # A dict with a ``__dict__`` to fill takes twice as long to make as all else of it; others may still add to it.
    __slots__ = (
        *("request_id", "user_id", "session_id", "status", "seconds", "errors", "tags"),
        *("_nodes", "__dict__"),
    )

    def __init__(
        self,
        outputs: Mapping[str, Any],
        run: Known,
        user_id: str | None,
        session_id: str | None,
        seconds: float,
        nodes: Nodes | None = None,
    ) -> None:
        self.update(outputs)
        self.request_id = run.id
        self.user_id = user_id
        self.session_id = session_id
        self.status = "partial" if run.partial else "ok"
        self.seconds = seconds
        self.errors = run.errors()
        self.tags = run.tags()
        self._nodes = nodes

    @property
    def nodes(self) -> Nodes:
        """What each node gave, of a run with ``keep=True``."""
        if self._nodes is None:
            raise AttributeError("this run has not kept what its nodes gave: write run(..., keep=True).")
        return self._nodes

    def __missing__(self, key: object) -> NoReturn:
        if key == "$state":
            raise MissingKeyError(
                'the result has no "$state": result.nodes has what each node gave, of a run with keep=True.'
            )
        if not self:
            raise MissingKeyError(
                f"the result has no key {key!r}: no node has written to PARENT. "
                f"Write node[{key!r}] >> PARENT[{key!r}], or give the node outputs=PARENT."
            )
        raise missing_key("the result", key, self)
