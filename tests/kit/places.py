"""Where a node that was drawn goes: its edges, hard and soft, what it writes to PARENT, what becomes of its failure."""

from __future__ import annotations

from dataclasses import replace

from kit.arms import Arms, exclude, is_possible
from kit.levels import Kind, Level
from kit.shapes import Branch, Leaf, Map, Node, OnError, Param, Ref, parents_in, sources_of
from kit.sources import Sources, without_hollow


class Places(Sources):
    """Draws edges, writes and fault policies."""

    faults: list[OnError]

    def place(self, level: Level, node: Node, keys: dict[str, Kind], may_fail: bool, target: str = "") -> None:
        """Give the node its place and add it to the level; `target` is the name by which a branch knows it."""
        if target:
            node = without_hollow(level, replace(node, name=target))
        touchy = level.reads_hollow(node)
        places = {1 + self.up_to(7 if self.is_dense else 19) for _ in range(self.up_to(2))}
        after = {name for back, name in enumerate(reversed(level.seen), 1) if back in places}
        if touchy:
            after = {name for name in after if level.is_sure(name)}
        elif self.one_in(3):
            node = self._soften(level, node)
        after -= set(node.soft)
        feeding = after | set(node.soft) | set(level.choosers(node.name))
        feeding |= {ref.node for ref in node.refs if ref.node in level.seen}
        start = level.uses_start and (not feeding or self.one_in(4))
        node = replace(node, after=tuple(name for name in level.seen if name in after), start=start)
        if not touchy:
            node = replace(node, writes=self._writes(level, node, keys))
        node = _settled(level, node)
        if touchy and not all(level.is_sure(name) for name in level.before(node)):
            node, touchy = _settled(level, without_hollow(level, node)), False  # what it read has given an order too
            node = replace(node, start=level.uses_start and (start or not level.before(node)))
        is_first_of_item = level.is_item and not level.seen  # whose failures are best left to the map
        is_fixed = isinstance(node, Map) or (isinstance(node, Branch) and node.style != "cases") or node.on_error
        if not (is_first_of_item or is_fixed or touchy) and (may_fail or self.one_in(6)):
            node = replace(node, on_error=self.pick(self.faults))
        level.add(node, keys, may_fail=may_fail, touchy=touchy)

    def named(self, params: list[Param]) -> tuple[Param, ...]:
        """The parameters in an order that Python takes, with names."""
        params = sorted(params, key=lambda each: each.default is not None)
        return tuple(replace(each, name="abcdefg"[place]) for place, each in enumerate(params))

    def _soften(self, level: Level, node: Node) -> Node:
        """Give it soft edges from nodes of which at most one can run, and read some of them."""
        taken = {one.node for _, one in node.each if isinstance(one, Ref)} if isinstance(node, Map) else set()
        options = [name for name, each in level.seen.items() if each.arms and not each.touchy]
        options = [name for name in options if name not in {*taken, *level.choosers(node.name)}]
        if not options:
            return node
        chosen = [self.pick(options)]
        for name in options:
            rivals = (exclude(level.seen[name].arms, level.seen[one].arms) for one in chosen)
            if name not in chosen and all(rivals) and not self.one_in(4):
                chosen.append(name)
        node = replace(node, soft=tuple(name for name in level.seen if name in chosen))
        refs = [ref for ref in level.refs() if ref.node in chosen]
        if isinstance(node, Leaf) and refs:
            read = [self.pick(refs) for _ in range(self.up_to(2))]
            params = [*node.params, *(self.with_default(level, ref) for ref in read)]
            node = replace(node, params=self.named(params))
        return node

    def _writes(self, level: Level, node: Node, keys: dict[str, Kind]) -> tuple[tuple[str, str], ...]:
        """Some of the node's keys go to PARENT: to a new key, to one written before, or to one that was read before."""
        writes: dict[str, str] = {}
        arms = level.arms(node)
        flagged = isinstance(node, Leaf) and node.does == "flagged"
        if flagged and level.is_item and not level.reports and self.one_in(2):
            writes["error"] = "error"
        for key, kind in keys.items():
            if kind == "metrics":
                if self.one_in(4):
                    writes[self.fresh("o")] = key
            elif key != "error" and (not self.one_in(2) or (level.is_item and not level.seen)):
                old = [each for each in level.write_again(node, kind) if each not in writes]
                rivals = [each for each in old if _is_written_by_rivals(level, each, arms)]
                counters = [each for each in old if level.given.get(each) == "int"]
                old = self.pick([one for one in (old, rivals, counters) if one] or [[]])
                writes[self.pick(old) if old and not self.one_in(3) else self.fresh("o")] = key
        if self.one_in(6):
            writes[self.fresh("o")] = "error"
        return tuple((key, target) for target, key in writes.items())


def _is_written_by_rivals(level: Level, key: str, arms: Arms) -> bool:
    return any(exclude(arms, level.seen[name].arms) for name in level.writers.get(key, ()))


def _settled(level: Level, node: Node) -> Node:
    """The node with the edges that it needs besides: after all that reads or writes the same PARENT keys."""
    targets = [target for _, target in node.writes]
    read = {key for one in sources_of(node) for key in parents_in(one)} - level.given.keys()
    while True:
        before, arms = level.before(node), level.arms(node)
        missing = {
            name for name in level.must_follow(node, targets) - before if not exclude(arms, level.seen[name].arms)
        }
        for key in read:
            writers = level.writers[key]
            if not before.intersection(writers):  # they all lie on other arms, and nothing else gives the key
                missing.add(writers[0])
        if not is_possible(arms):  # without edges, it would need what can never be there together
            missing |= {ref.node for ref in node.refs if ref.node in level.seen}
        if not missing:
            return node
        missing = {name for name in missing if not any(name in level.seen[other].before for other in missing)}
        after = {*node.after, *missing}
        node = replace(node, after=tuple(name for name in level.seen if name in after))
