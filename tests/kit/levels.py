"""What is known of a graph while it is drawn: enough to draw only what is right, and what the design is clear about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from kit.arms import Arms, both, either, exclude
from kit.shapes import (
    Branch,
    Leaf,
    Map,
    Node,
    Parent,
    Ref,
    Source,
    parents_in,
    refs_in,
    sources_of,
    targets_of,
)

# Surely an int, a list, unless its node was skipped or failed; anything; what holds times, and is read in part only.
Kind = Literal["int", "any", "list", "metrics"]


@dataclass
class Seen:
    """What is known of a node that was drawn."""

    node: Node
    keys: dict[str, Kind]
    before: set[str]  # what surely comes before it
    arms: Arms
    may_fail: bool
    may_skip: bool
    reports: bool = False  # a map whose `error` column may hold what is no exception
    named: bool = False  # somebody reads its `error`
    touchy: bool = False  # a missing key is read from it or by it: nobody may handle that

    @property
    def is_solid(self) -> bool:
        """Whether it surely runs, or the run fails for another reason, and surely succeeds."""
        return not self.may_fail and not self.may_skip

    @property
    def plain_keys(self) -> list[str]:
        """The keys but `error`, and what holds times."""
        return [key for key, kind in self.keys.items() if key != "error" and kind != "metrics"]

    @property
    def is_empty(self) -> bool:
        """Whether it is a leaf that gives no key at all."""
        return isinstance(self.node, Leaf) and self.node.does == "empty"


@dataclass
class Level:
    """One graph: the keys its container is given, the leaves around it, and what it holds so far."""

    given: dict[str, Kind]
    outside: list[Seen]
    uses_start: bool
    seen: dict[str, Seen] = field(default_factory=dict)
    readers: dict[str, list[str]] = field(default_factory=dict)
    writers: dict[str, list[str]] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)  # of the PARENT keys that are written
    pending: list[str] = field(default_factory=list)  # targets of branches that are not placed yet
    can_time_out: bool = False  # whether a leaf may be stuck, because its item has a timeout

    def inner(self, given: dict[str, Kind], *, uses_start: bool, can_time_out: bool) -> Level:
        """The level of a body that stands in this graph."""
        return Level(given, self.for_bodies(), uses_start, can_time_out=can_time_out)

    def keys_out(self, kind: Kind) -> dict[str, Kind]:
        """The keys that its container gives: what was written to PARENT."""
        return {key: "metrics" if self.kinds[key] == "metrics" else kind for key in self.writers if key != "error"}

    @property
    def may_fail(self) -> bool:
        return any(each.may_fail for each in self.seen.values())

    @property
    def reports(self) -> bool:
        """Whether it writes an `error` of its own."""
        return "error" in self.writers

    @property
    def is_item(self) -> bool:
        """Whether it is the body of a map."""
        return any(key.startswith("x") for key in self.given)

    def find(self, ref: Ref) -> Seen:
        return self.seen.get(ref.node) or next(each for each in self.outside if each.node.name == ref.node)

    def closure(self, names: Iterable[str]) -> set[str]:
        """These nodes and all that come before them."""
        return set(names) | {one for name in names for one in self.seen[name].before}

    def before(self, node: Node) -> set[str]:
        """What surely comes before the node, with the edges that it has now."""
        refs = {ref.node for ref in node.refs} - set(node.soft)
        hard = self.closure({*node.after, *self.choosers(node.name), *(refs & self.seen.keys())})
        return hard | {name for name in self.seen if self._is_before_soft(name, node.soft)}

    def _is_before_soft(self, name: str, soft: tuple[str, ...]) -> bool:
        """Whether, if it runs, it has ended when the first of these delivers: all others lie on other arms than it."""
        behind = [one for one in soft if name in self.closure([one])]
        others = [one for one in soft if one not in behind]
        return bool(behind) and all(exclude(self.seen[name].arms, self.seen[one].arms) for one in others)

    def choosers(self, name: str) -> list[str]:
        """The branches that name it."""
        branches = [each.node for each in self.seen.values() if isinstance(each.node, Branch)]
        return [each.name for each in branches if name in targets_of(each)]

    def arms(self, node: Node) -> Arms:
        """On which arms it lies, with the edges that it has now."""
        if choosers := self.choosers(node.name):
            return either(both([self.seen[one].arms, {one: frozenset([node.name])}]) for one in choosers)
        if node.start:
            return {}
        if feeding := [*node.after, *node.soft]:
            return either(self.seen[name].arms for name in feeding)
        needed = node.refs
        if isinstance(node, Leaf):  # what a parameter without a default reads; another may forgive the same
            needed = [ref for each in node.params if each.default is None for ref in refs_in(each.source)]
        return both(self.seen[ref.node].arms for ref in needed if ref.node in self.seen)

    def is_sure(self, name: str) -> bool:
        """Whether neither the node nor anything before it can fail or be skipped."""
        return all(self.seen[one].is_solid for one in self.closure([name]))

    def is_column(self, ref: Ref) -> bool:
        return ref.node in self.seen and isinstance(self.seen[ref.node].node, Map)

    def list_keys(self) -> list[Parent]:
        return [Parent(key) for key, kind in sorted(self.given.items()) if kind == "list"]

    def for_bodies(self) -> list[Seen]:
        """What a body may refer to across its border: leaves that surely run."""
        leaves = [each for each in (*self.outside, *self.seen.values()) if isinstance(each.node, Leaf)]
        return [each for each in leaves if not each.may_skip and not each.touchy]

    def refs(self, *, solid: bool = False) -> list[Ref]:
        """The references that a node drawn next may hold; `solid`: those whose node surely runs."""
        found = []
        for each in self.seen.values():
            if each.touchy or (solid and each.may_skip):
                continue
            found += [Ref(each.node.name, key) for key in each.plain_keys]
            if each.may_fail or isinstance(each.node, Map):
                found.append(Ref(each.node.name, "error"))
        for each in self.outside:
            if each.is_solid:
                found += [Ref(each.node.name, key) for key in each.plain_keys]
            elif not each.touchy:
                found.append(Ref(each.node.name, "error"))
        return found

    def list_refs(self, zipped_with: list[Source], *, columns: bool) -> list[Ref]:
        """The references that an `Each` may go over; columns of two maps are never zipped."""
        taken = {one.node for one in zipped_with if isinstance(one, Ref) and self.is_column(one)}
        found = [ref for ref in self.refs() if self.find(ref).keys.get(ref.key) == "list"]
        return [ref for ref in found if not self.is_column(ref) or (columns and (not taken or ref.node in taken))]

    def hollow(self) -> list[Ref]:
        """References to a key that is never given, where the graph must fail whoever is held to have failed."""
        empty = [each for each in self.seen.values() if each.is_empty and each.node.on_error is None]
        return [Ref(each.node.name, "v") for each in empty if not each.named and self.is_sure(each.node.name)]

    def reads_hollow(self, node: Node) -> bool:
        return isinstance(node, Leaf) and any(self._is_hollow(ref) for ref in node.refs)

    def _is_hollow(self, ref: Ref) -> bool:
        return ref.key == "v" and ref.node in self.seen and self.seen[ref.node].is_empty

    def write_again(self, node: Node, kind: Kind) -> list[str]:
        """The PARENT keys that the node may write though they are written, or read, before."""
        reads = {one for source in sources_of(node) for one in parents_in(source)} | set(self.readers)
        old = set(self.writers) | (reads & self.given.keys())
        kinds = {key: self.given.get(key, self.kinds.get(key)) for key in old - {"error"}}
        return sorted(key for key, one in kinds.items() if one == "any" or one == kind == "int")

    def written(self) -> list[str]:
        """The PARENT keys that were written, and can be read after that."""
        kinds = {key: self.given.get(key, self.kinds[key]) for key in self.writers if key != "error"}
        return sorted(key for key, kind in kinds.items() if kind not in ("metrics", "list"))

    def metrics(self) -> list[Ref]:
        """References to counts that are surely there."""
        found = [each for each in self.seen.values() if "iteration_metrics" in each.keys and each.is_solid]
        return [Ref(each.node.name, "iteration_metrics") for each in found]

    def must_follow(self, node: Node, writes: Iterable[str]) -> set[str]:
        """The nodes that it must come after, because they read or write the same PARENT keys."""
        reads = {key for one in sources_of(node) for key in parents_in(one)}
        found = {name for key in reads for name in self.writers.get(key, ())}
        return found | {name for key in writes for name in (*self.writers.get(key, ()), *self.readers.get(key, ()))}

    def upstream(self, node: Map) -> list[Seen]:
        """The nodes of this level that its `Each` go over."""
        names = {one.node for _, one in node.each if isinstance(one, Ref)}
        return [each for name, each in self.seen.items() if name in names]

    def is_unsure(self, key: str) -> bool:
        """Whether a PARENT key may hold what is not of its kind, because its writers may fail or be skipped."""
        return any(not self.seen[name].is_solid for name in self.writers.get(key, ()))

    def map_may_fail(self, node: Map, body: Level) -> bool:
        """Whether the map itself may fail, of its items or of what it goes over."""
        upstream = self.upstream(node)
        sure = len(node.each) == 1 and all(each.is_solid for each in upstream)
        if not sure or any(isinstance(one, Parent) for _, one in node.each):
            return True
        raises = node.is_for or node.on_error not in (None, "collect")
        return raises and (body.may_fail or body.reports or any(isinstance(each.node, Map) for each in upstream))

    def add(self, node: Node, keys: dict[str, Kind], *, may_fail: bool, touchy: bool) -> None:
        """The node, complete, becomes part of the level."""
        refs = node.refs
        naming = {ref.node for ref in refs if ref.key == "error"}
        own = {ref.node for ref in refs if ref.node in self.seen}
        for each in (*self.seen.values(), *self.outside):
            each.named |= each.node.name in naming
        for ref in refs:
            if touchy and self._is_hollow(ref):
                self.seen[ref.node].touchy = True
        for key in {key for one in sources_of(node) for key in parents_in(one)}:
            self.readers.setdefault(key, []).append(node.name)
        for key, target in node.writes:
            self.writers.setdefault(target, []).append(node.name)
            kind = keys.get(key, "any")
            self.kinds[target] = kind if self.kinds.get(target, kind) == kind else "any"
        feeding = {*node.after, *node.soft, *own}
        unsure = any(self.seen[name].may_fail and name not in naming for name in own)
        dead = not node.start and any(self.seen[name].may_skip for name in feeding)
        self.seen[node.name] = Seen(
            node,
            keys,
            self.before(node),
            self.arms(node),
            may_fail=may_fail or touchy,
            may_skip=unsure or dead or bool(self.choosers(node.name)),
            reports=isinstance(node, Map) and self._passes_reports(node),
            named=any(key == "error" for key, _ in node.writes),
            touchy=touchy,
        )
        if isinstance(node, Branch):
            self.pending += [one for one in targets_of(node) if one not in self.pending]
        if node.name in self.pending:
            self.pending.remove(node.name)

    def _passes_reports(self, node: Map) -> bool:
        writes = any(target == "error" for each in node.body.nodes for _, target in each.writes)
        return writes or any(each.reports for each in self.upstream(node))
