"""What nodes are fed from, and what conditions ask, drawn at random from what a level offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from kit.chance import Chance
from kit.conditions import FOR_INTS, FOR_LISTS, SAFE
from kit.levels import Kind, Level
from kit.shapes import Atom, Cond, Leaf, Lit, Node, Pack, Param, Parent, Ref, Source, Then
from kit.values import COUNTS


class Sources(Chance):
    """Draws sources and conditions."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self._number = 0
        self.is_dense = self.one_in(2)  # whether nodes mostly wait for others, or mostly stand side by side

    def item(self) -> int | None:
        return None if self.one_in(2) else self.up_to(9)

    def items(self) -> list[int | None]:
        return [self.item() for _ in range(self.up_to(4))]

    def fresh(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}{self._number}"

    def param(self, level: Level) -> Param:
        """A parameter; one that reads from a node that may be skipped has a default now and then."""
        return self.with_default(level, self.source(level))

    def with_default(self, level: Level, source: Source) -> Param:
        if isinstance(source, Ref) and source.node in level.seen and not source.then:
            each = level.find(source)
            if not each.is_solid and not each.is_empty and self.one_in(2):
                return Param("", source, default=self.up_to(9))
        return Param("", source)

    def source(self, level: Level, *, solid: bool = False) -> Source:
        """Anything that a leaf's parameter may be fed from."""
        options: list[Callable[[], Source]] = [lambda: Lit(self.item())]
        if level.given:
            options += [lambda: Parent(self.pick(sorted(level.given)))] * 2
        if written := level.written():
            options += [lambda: Parent(self.pick(written))] * 2
        if refs := level.refs(solid=solid):
            options += [lambda: self._then(level, self.pick(refs))] * (5 if self.is_dense else 1)
        if shaky := [ref for ref in refs if level.find(ref).may_skip]:
            options += [lambda: self.pick(shaky)] * 3
        if metrics := level.metrics():
            options.append(lambda: replace(self.pick(metrics), then=self.pick(COUNTS)))
        if not solid:
            options.append(lambda: Pack(tuple(self.source(level, solid=True) for _ in range(2))))
            if (hollow := level.hollow()) and self.one_in(2):
                options += [lambda: self.pick(hollow)] * 4
        return self.pick(options)()

    def _then(self, level: Level, ref: Ref) -> Ref:
        each = level.find(ref)
        if not each.is_solid or ref.key == "error" or not self.one_in(3):
            return ref
        then: Then = "plus" if each.keys[ref.key] == "int" and self.one_in(2) else "apply"
        return replace(ref, then=then)

    def source_for(self, level: Level, kind: Kind, but_errors_of: set[str] | None = None) -> Source:
        """What a container's input may be fed from."""
        if kind == "list":
            return self.list_source(level, [], columns=False)
        literal = Lit(self.up_to(9))
        if kind == "int":
            ints = [Parent(key) for key, one in level.given.items() if one == "int" and not level.is_unsure(key)]
            refs = [ref for ref in level.refs(solid=True) if self._kind_of(level, ref) == "int"]
            return self.pick([literal, *ints, *refs])
        refs = [ref for ref in level.refs() if ref.key != "error" or ref.node not in (but_errors_of or ())]
        parents = [Parent(key) for key in sorted({*level.given, *level.written()})]
        return self.pick([literal, *parents, *refs])

    def list_source(self, level: Level, zipped_with: list[Source], *, columns: bool = True) -> Source:
        """What an `Each` may go over."""
        written = Lit(self.items())
        refs = level.list_refs(zipped_with, columns=columns)
        if not refs or self.one_in(2):
            refs += [written, *level.list_keys()]
        return self.pick(refs)

    # ── Conditions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def condition(self, level: Level, style: str) -> tuple[Cond, bool]:
        """A condition of a branch, and whether it may raise."""
        atoms = []
        raises = False
        for _ in range(self.pick([1, 1, 2])):
            source, kind = self._asked(level)
            form, may_raise = self._form(kind)
            atoms.append(Atom(form, source, self.up_to(9)))
            raises |= may_raise
        return self._joined(atoms, style), raises

    def stop(self, level: Level, variables: dict[str, Kind], style: str) -> tuple[Cond, bool]:
        """A condition of a loop: over its variables and, where it is a reference, over what stands around the loop."""
        atoms = []
        raises = False
        outer = [ref for ref in level.refs(solid=True) if ref.node in level.seen] if style == "ref" else []
        for place in range(self.pick([1, 1, 2])):
            source: Source = Parent(self.pick(sorted(variables, key=lambda key: variables[key] != "int")))
            if outer and place and self.one_in(2):
                source = self.pick(outer)
            kind = variables[source.key] if isinstance(source, Parent) else self._kind_of(level, source)
            form, may_raise = self._form(kind)
            atoms.append(Atom(form, source, self.up_to(9)))
            raises |= may_raise
        return self._joined(atoms, style), raises

    def _joined(self, atoms: list[Atom], style: str) -> Cond:
        negated = self.one_in(5)
        if style == "ref" and (len(atoms) > 1 or negated):  # `&`, `|` and `~` are for what is true or false
            atoms = [replace(each, form="null") if each.form == "true" else each for each in atoms]
        return Cond(tuple(atoms), self.pick(["and", "or"]), negated, style)

    def _form(self, kind: Kind) -> tuple[Any, bool]:
        forms = {"int": FOR_INTS, "list": FOR_LISTS}.get(kind, SAFE)
        if kind == "any" and self.one_in(8):
            forms = FOR_INTS
        form = self.pick(forms)
        return form, form not in SAFE and kind != "int"

    def _asked(self, level: Level) -> tuple[Source, Kind]:
        """What a condition reads, and what that surely is."""
        options: list[tuple[Source, Kind]] = []
        for key in sorted({*level.given, *level.written()}):
            kind = level.given.get(key, "any")
            options.append((Parent(key), "any" if level.is_unsure(key) else kind))
        for ref in level.refs():
            options += [(ref, self._kind_of(level, ref))] * 2
        for ref in level.metrics():
            options.append((replace(ref, then=self.pick(COUNTS)), "int"))
        return self.pick(options) if options else (Lit(self.up_to(9)), "int")

    def _kind_of(self, level: Level, source: Source) -> Kind:
        assert isinstance(source, Ref)
        each = level.find(source)
        return each.keys.get(source.key, "any") if each.is_solid and source.key != "error" else "any"


def without_hollow(level: Level, node: Node) -> Node:
    """The node without its references to keys that are never given."""
    if not isinstance(node, Leaf):
        return node
    params = [replace(each, source=Lit(0)) if each.source in level.hollow() else each for each in node.params]
    return replace(node, params=tuple(params))
