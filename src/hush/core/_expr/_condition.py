"""Conditions as text: ``"score >= 90 and kind in ['a', 'b']"`` becomes one function, without ``eval``.

The grammar is Python's, cut down: what is accepted means what it means there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from hush.core._expr._condition_lexer import COMPUTE, SPLIT, ConditionError, Lexer
from hush.core._expr._condition_values import (
    CONSTANTS,
    OPERATIONS,
    POWERS,
    Operation,
    Part,
    Power,
    Steps,
    built,
    chosen,
    compared,
    constant,
    folded,
    unary,
)


class Condition(NamedTuple):
    """A condition that was read: ``holds``, called with the values of ``names`` in their order, gives its value.

    The value is Python's, not made a bool, and what evaluation raises is what Python raises.
    """

    text: str
    names: tuple[str, ...]
    holds: Callable[..., Any]
    words: tuple[str, ...]
    """What it is made of, however it is spaced."""


def parse_condition(text: str) -> Condition:
    """Read one condition, or raise :class:`ConditionError`. Names are listed in the order in which they appear."""
    if not text.strip():
        raise ConditionError("the condition is empty", 'Write a comparison, such as "score >= 90".')
    if len(text) > _LONGEST:
        raise ConditionError(f"the condition has {len(text)} characters, more than {_LONGEST}", f"{COMPUTE}.")
    parser = _Parser(text)
    get = parser.whole().get
    return Condition(text, tuple(parser.slots), lambda *values: get(values), tuple(parser.words))


_LONGEST = 10_000
_DEEPEST = 30  # levels of nesting: each takes up to fourteen calls to read, from wherever that is asked for


class _Parser(Lexer):
    """Precedence climbing: each operand is read with the power that an operator needs to go on with it."""

    def __init__(self, text: str) -> None:
        self.slots, self.depth = dict[str, int](), 0
        super().__init__(text)

    def whole(self) -> Part:
        part = self.expression(Power.OR)
        if self.on(","):
            raise self.error("a comma outside of brackets", "Write the parentheses of a tuple, or `and`.")
        if self.on(")", "]", "}", ":"):
            raise self.error(f"{self.word!r} has no opening bracket", "Delete it, or open the bracket.")
        if self.kind != "end":
            raise self.missing("an operator")
        return part

    def inner(self, floor: int = Power.OR) -> Part:
        if self.depth == _DEEPEST:
            raise self.error(f"more than {_DEEPEST} levels of nesting", SPLIT)
        self.depth += 1
        part = self.expression(floor)
        self.depth -= 1
        return part

    def expression(self, floor: int) -> Part:
        part = self.operand(floor)
        while self.kind == "op" and (power := POWERS.get(self.word, 0)) >= floor:
            if power <= Power.AND:
                word, gets = self.word, [part.get]
                while self.taken(word):
                    gets.append(self.expression(power + 1).get)
                part = chosen(gets, truth=word == "or")
            else:
                part = (compared if power == Power.COMPARE else folded)(part.get, self.steps(power))
        return part

    def steps(self, power: int) -> Steps:
        steps: list[tuple[Operation, Part]] = []
        while self.kind == "op" and POWERS.get(self.word) == power:
            word, fn = self.word, OPERATIONS[self.word]
            self.advance()
            if word == "not" and not self.taken("in"):
                raise self.error("`not` stands where an operator should", "Write `not in`, `!=`, or `and not`.")
            if word == "is" and self.taken("not"):
                fn = operator.is_not
            steps.append((fn, self.expression(power + 1)))
        return steps

    def operand(self, floor: int) -> Part:
        if self.on("not") and floor > Power.NOT:
            raise self.error("`not` needs parentheses here", "Write (not ...).")
        if self.taken("not"):
            return unary(operator.not_, self.inner(Power.NOT))
        if self.on("-", "+"):
            fn = operator.neg if self.word == "-" else operator.pos
            self.advance()
            part = self.inner(Power.UNARY)
            is_number = part.fixed and type(part.fixed[0]) in (int, float)
            return constant(fn(part.fixed[0])) if is_number else unary(fn, part)
        part, keys = self.atom(), list[tuple[Operation, Part]]()
        while self.on("["):
            parts, comma = self.items("]", self.key, 1)
            keys.append((operator.getitem, built(tuple, parts) if comma or len(parts) > 1 else parts[0]))
        if self.on("("):
            raise self.error("a call is not part of conditions, but for len(x)", f"{COMPUTE}.")
        return folded(part.get, keys) if keys else part

    def atom(self) -> Part:
        if self.kind == "op":
            return self.bracket()
        if self.kind == "end":
            raise self.missing("a value")
        if self.word == "len":
            return self.length()
        if self.kind != "name":
            part = constant(self.number() if self.kind == "number" else self.string())
        elif self.word in CONSTANTS:
            part = constant(CONSTANTS[self.word])
        else:
            part = Part(operator.itemgetter(self.slots.setdefault(self.word, len(self.slots))))
        self.advance()
        return part

    def length(self) -> Part:
        at = self.at
        self.advance()
        parts = self.items(")", self.inner)[0] if self.on("(") else []
        if len(parts) != 1:
            raise self.error("`len` is a function of one argument here, not a name", "Write len(x).", at)
        return unary(len, parts[0])

    def items(self, closing: str, item: Callable[[], Part], least: int = 0) -> tuple[list[Part], bool]:
        """What stands in a bracket, and whether its last item has a comma after it."""
        opening, at, parts, comma = self.word, self.at, list[Part](), True
        self.advance()
        while not self.on(closing) or len(parts) < least:
            if self.kind == "end":
                raise self.error(f"{opening!r} is not closed", f"Write {closing!r} where it ends.", at)
            if not comma:
                raise self.missing("an operator")
            parts.append(item())
            comma = self.taken(",")
        self.advance()
        return parts, comma and bool(parts)

    def bracket(self) -> Part:
        if self.on("("):
            parts, comma = self.items(")", self.inner)
            return parts[0] if len(parts) == 1 and not comma else built(tuple, parts)
        if self.on("["):
            return built(list, self.items("]", self.inner)[0])
        if not self.on("{"):
            raise self.missing("a value")
        at, values = self.at, list[Part]()

        def entry() -> Part:
            key = self.inner()
            if self.taken(":"):
                values.append(self.inner())
            return key

        keys, _ = self.items("}", entry)
        if keys and not values:
            return built(set, keys)
        if len(keys) != len(values):
            raise self.error("a value has no key", "Write either a dict or a set.", at)
        flat = [part for pair in zip(keys, values, strict=True) for part in pair]
        return built(lambda made: dict(zip(made[::2], made[1::2], strict=True)), flat)

    def key(self) -> Part:
        none = constant(None)
        bounds = [none if self.on(":") else self.inner()]
        while len(bounds) < 3 and self.taken(":"):
            bounds.append(none if self.on(":", ",", "]") else self.inner())
        return built(lambda made: slice(*made), bounds) if len(bounds) > 1 else bounds[0]
