"""The shape of a body: what comes one after the other, what runs side by side, and what is woven otherwise.

A graph is taken apart into series and parallel blocks, which can be drawn without a line between two steps. What is
neither is a weave: its steps stand in order, and each says what it comes after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias

from hush.core._spec._render import STRUCTURE, Body, Item, Link

_DEEPEST = 8
"""Blocks nest as far as this; what is deeper is a weave, so that the work stays linear, and the page narrow."""

_NAMED = 5
"""How many steps are named after ``after``; the rest is counted."""

Shape: TypeAlias = Literal["step", "series", "parallel", "weave"]


class Block(NamedTuple):
    """A part of a body: one step by its number, or blocks in series, side by side, or in a weave."""

    shape: Shape
    parts: tuple[Block, ...] = ()
    step: int = -1


class Layout(NamedTuple):
    """A body as blocks.

    Attributes:
        block: The whole, ``None`` if there are no steps.
        before: For each step, the links that lead to it from other steps.
        plain: The steps that come by edges after exactly what stands before them, and need no word about it.
        started: The steps that ``START`` leads to.
    """

    block: Block | None
    before: dict[int, list[Link]]
    plain: frozenset[int]
    started: frozenset[int]


def folded(root: Item, most: int | None = 20) -> Item:
    """``root`` with alike leaves, if there are more than ``most``, drawn as one. ``None`` folds nothing.

    Leaves are alike if they are of one kind and run, come after and come before the same.
    """
    if root.body is None or most is None:
        return root
    return replace(root, body=_folded(root.body, most))


def _folded(body: Body, most: int) -> Body:
    leading: list[list[tuple[object, ...]]] = [[] for _ in body.items]
    for link in body.links:
        leading[link.before].append(("to", link.after, *link[2:]))
        leading[link.after].append(("from", link.before, *link[2:]))
    groups: dict[object, list[int]] = {}
    for number in body.steps():
        item = body.items[number]
        if item.body is None and not item.lines:
            groups.setdefault((item.kind, item.notes, tuple(leading[number])), []).append(number)
    stand_in: dict[int, int] = {}
    names: dict[int, tuple[str, ...]] = {}
    for alike in groups.values():
        if len(alike) > most:
            names[alike[0]] = tuple([body.items[number].name for number in alike])
            stand_in.update(dict.fromkeys(alike[1:], alike[0]))
    kept = [number for number in range(len(body.items)) if number not in stand_in]
    place = {number: at for at, number in enumerate(kept)}
    items: list[Item] = []
    for number in kept:
        item = body.items[number]
        if number in names:
            first, last = names[number][0], names[number][-1]
            item = replace(item, name=f"{first} … {last}", folded=names[number])
        items.append(folded(item, most))
    links = [
        link._replace(before=place[link.before], after=place[link.after])
        for link in body.links
        if link.before not in stand_in and link.after not in stand_in
    ]
    return Body(tuple(items), tuple(links))


def arrange(body: Body) -> Layout:
    """Take ``body`` apart. Linear in its steps and links."""
    steps = body.steps()
    before: dict[int, list[Link]] = {number: [] for number in steps}
    after: dict[int, list[int]] = {number: [] for number in steps}
    for link in body.links:
        if link.tie in STRUCTURE and link.before in before and link.after in before:
            before[link.after].append(link)
            after[link.before].append(link.after)
    first = {number for number, item in enumerate(body.items) if item.kind == "start"}
    started = frozenset(link.after for link in body.links if link.before in first)
    order = _ordered(steps, before, after)
    if not order:
        return Layout(None, before, frozenset(), started)
    place = {number: at for at, number in enumerate(order)}
    # A cycle is an error of the graph, but can be looked at: what leads back in it is told, not drawn.
    ahead = {n: [link.before for link in before[n] if place[link.before] < place[n]] for n in order}
    behind = {n: [other for other in after[n] if place[other] > place[n]] for n in order}
    shaper = _Shaper(before, ahead, behind)
    block = shaper.shape(order, frozenset(), 0)
    return Layout(block, before, frozenset(shaper.plain), started)


def _ordered(steps: range, before: dict[int, list[Link]], after: dict[int, list[int]]) -> list[int]:
    waits = {number: len(before[number]) for number in steps}
    ready = [number for number in steps if not waits[number]]
    for number in ready:  # grows while it is walked
        for other in after[number]:
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    done = set(ready)
    return ready + [number for number in steps if number not in done]


class _Shaper:
    """Takes apart one body; ``plain`` fills on the way."""

    def __init__(self, links: dict[int, list[Link]], ahead: dict[int, list[int]], behind: dict[int, list[int]]) -> None:
        self.links = links
        self.ahead = ahead
        self.behind = behind
        self.plain: set[int] = set()

    def shape(self, members: Sequence[int], tail: frozenset[int], depth: int) -> Block:
        """The block of ``members``, which stand in order, and come after ``tail``."""
        if len(members) == 1:
            return self._step(members[0], tail)
        if depth >= _DEEPEST:
            return self._weave(members)
        parts = self._series(members)
        if len(parts) > 1:
            blocks: list[Block] = []
            for part, ends in parts:
                blocks.append(self._side_by_side(part, tail, depth))
                tail = ends
            return Block("series", tuple(blocks))
        return self._side_by_side(members, tail, depth)

    def _side_by_side(self, members: Sequence[int], tail: frozenset[int], depth: int) -> Block:
        if len(members) == 1:
            return self._step(members[0], tail)
        apart = self._components(members)
        if len(apart) == 1:
            return self._weave(members)
        return Block("parallel", tuple([self.shape(part, tail, depth + 1) for part in apart]))

    def _step(self, number: int, tail: frozenset[int]) -> Block:
        links = self.links[number]
        if {link.before for link in links} == tail and all(link.tie == "edge" for link in links):
            self.plain.add(number)
        return Block("step", step=number)

    def _weave(self, members: Sequence[int]) -> Block:
        self.plain.update(number for number in members if not self.links[number])
        return Block("weave", tuple([Block("step", step=number) for number in members]))

    def _series(self, members: Sequence[int]) -> list[tuple[list[int], frozenset[int]]]:
        """``members`` cut wherever all before the cut come before all behind it; each part with its last steps.

        That is so exactly where each last step of what lies before has a link to each first one of what lies behind.
        Any order finds all cuts, since whatever lies before a cut must stand before it.
        """
        inside = set(members)
        waits = {n: sum(other in inside for other in self.ahead[n]) for n in members}
        last: set[int] = set()
        first = {n for n in members if not waits[n]}
        crossing, begun = 0, 0
        found: list[tuple[list[int], frozenset[int]]] = []
        for at, number in enumerate(members):
            crossing -= sum(other in last for other in self.ahead[number])
            first.discard(number)
            for other in self.ahead[number]:
                if other in last:
                    last.discard(other)
                    crossing -= sum(one in first for one in self.behind[other])
            last.add(number)
            for other in self.behind[number]:
                if other in inside:
                    waits[other] -= 1
                    if not waits[other]:
                        first.add(other)
                        crossing += sum(one in last for one in self.ahead[other])
            if crossing == len(last) * len(first):  # at the end there is nothing behind: 0 == 0
                found.append((list(members[begun : at + 1]), frozenset(last)))
                begun = at + 1
        return found

    def _components(self, members: Sequence[int]) -> list[list[int]]:
        """``members`` by what hangs together, each part in order, the parts as they were written."""
        inside = set(members)
        part_of: dict[int, int] = {}
        for number in sorted(members):
            if number in part_of:
                continue
            part_of[number] = number
            todo = [number]
            while todo:
                at = todo.pop()
                for other in (*self.ahead[at], *self.behind[at]):
                    if other in inside and other not in part_of:
                        part_of[other] = number
                        todo.append(other)
        parts: dict[int, list[int]] = {number: [] for number in sorted(set(part_of.values()))}
        for number in members:
            parts[part_of[number]].append(number)
        return list(parts.values())


def relations(body: Body, layout: Layout, number: int) -> tuple[list[str], list[str]]:
    """What a step comes after, where its place in the blocks does not say it; and from which maps its items come."""
    links = layout.before[number]
    said: list[str] = []
    arms = [link for link in links if link.tie == "case"]
    if arms:
        said.append(f"arm of {_named(body, arms)}")
    if number not in layout.plain:
        ordered = [link for link in links if link.tie in ("edge", "soft")]
        if ordered:
            said.append(f"after {_named(body, ordered)}")
    if links and number in layout.started:
        said.append("after START")
    read = [link for link in links if link.tie == "reads" and not link.flow]
    if read:
        said.append(f"reads {_named(body, read)}")
    flows: list[str] = []
    for why in dict.fromkeys(link.why for link in links if link.flow == "barrier"):
        waited = [link._replace(tie="edge") for link in links if link.flow == "barrier" and link.why == why]
        flows.append(f"barrier: waits for all of {_named(body, waited)}{why and f' ({why})'}")
    flowing = [link._replace(tie="edge") for link in links if link.flow == "stream"]
    if flowing:
        flows.append(f"stream: starts with the first of {_named(body, flowing)}")
    return said, flows


def _named(body: Body, links: list[Link]) -> str:
    names = [("~" if link.tie == "soft" else "") + body.items[link.before].name for link in links]
    if len(names) <= _NAMED + 1:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
