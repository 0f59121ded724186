"""Conditions as text: ``"score >= 90 and kind in ['a', 'b']"`` becomes one function, without ``eval``.

The grammar is Python's, cut down: what is accepted means what it means there. It has a reader of its own because
``ast`` warns where this must refuse, knows no mend, and may run out of stack on a hostile text.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from keyword import iskeyword
from typing import Any, NamedTuple, TypeAlias

Values: TypeAlias = tuple[Any, ...]
Get: TypeAlias = Callable[[Values], Any]
Operation: TypeAlias = Callable[[Any, Any], Any]


class ConditionError(ValueError):
    """Raised for a text that is no condition: the message says what is wrong and where, ``mend`` what to write."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


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
        raise ConditionError(f"the condition has {len(text)} characters, more than {_LONGEST}", f"{_COMPUTE}.")
    parser = _Parser(text)
    get = parser.whole().get
    return Condition(text, tuple(parser.slots), lambda *values: get(values), tuple(parser.words))


_LONGEST = 10_000
_DEEPEST = 30  # levels of nesting: each takes up to fourteen calls to read, from wherever that is asked for

_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _UNARY = range(1, 8)


def _within(item: Any, container: Any) -> bool:
    return item in container


def _not_within(item: Any, container: Any) -> bool:
    return item not in container


_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_EQUALITIES = {"==": operator.eq, "!=": operator.ne, "is": operator.is_, "in": _within, "not": _not_within}
_SUMS = {"+": operator.add, "-": operator.sub}
_PRODUCTS = {"*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod}
_OPERATIONS: dict[str, Operation] = _ORDERS | _EQUALITIES | _SUMS | _PRODUCTS
_POWERS = {
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(_ORDERS | _EQUALITIES, _COMPARE),
    **dict.fromkeys(_SUMS, _SUM),
    **dict.fromkeys(_PRODUCTS, _PRODUCT),
}
_CONSTANTS = {"True": True, "False": False, "None": None}
_PUNCTUATION = frozenset("()[]{},:")

WITH_REFERENCES = 'write the condition with references: Branch(...).if_(node["k"].strip() == "x", ...)'
"""What mends say of a branch, where text is not enough."""
_COMPUTE = f"Compute it in a node, or {WITH_REFERENCES}"
_SPLIT = "Write and / or, or a condition of its own for each case."
_MENDS = {
    **{op + "=": "Compare with ==." for op in ("", ":", "==", *"+-*/%@&|^", "//", "**", "<<", ">>")},
    **dict.fromkeys(("<>", "!==", "≠"), "Write !=."),
    **dict.fromkeys("≤≥", "Write <= or >=."),
    "\xa0": "Write a plain space.",
    **dict.fromkeys(("&", "&&"), "Write `and`."),
    **dict.fromkeys(("|", "||"), "Write `or`."),
    **dict.fromkeys(("!", "~"), "Write `not`."),
    **dict.fromkeys("“”„‘’", "Write strings in ' or \"."),
    **dict.fromkeys(("if", "else", "?"), _SPLIT),
    **dict.fromkeys(("#", ";", "\\"), "Write one expression and nothing else."),
}
_VALUE, _OPERATOR = "a value", "an operator"
_MISSING = {_VALUE: "Write a name, a number or a string there.", _OPERATOR: "Write one there, such as == or and."}

_TOKEN = re.compile(
    r"""[ \t\r\n\f]*(?:
      (?P<string>(?i:[rubft]|[bft]r|r[bft])?(?:'(?:[^'\\\r\n]|\\.)*'|"(?:[^"\\\r\n]|\\.)*"))
    | (?P<number>0[xob][0-9A-Za-z_]*|\.?[0-9](?:[eE][+-][0-9]|[0-9A-Za-z_.])*)
    | (?P<op>(?:\*\*|//|<<|>>|==|!=|[-+*/%@&|^:<>=!])=|<>|\*\*|//|<<|>>|&&|\|\||[-+*/%<>()\[\]{},:])
    | (?P<end>\Z)
    | (?P<other>[\s\S]))""",
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"""\\([\\'"abfnrtv]|[0-3][0-7]{2}|[0-7]{1,2}(?![0-7])|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{.+?\})?"""
)


class _Part(NamedTuple):
    """A piece that was read: what gives its value, and that value as the one item of ``fixed`` if it never changes."""

    get: Get
    fixed: Values = ()


Steps: TypeAlias = Sequence[tuple[Operation, _Part]]


def _constant(value: Any) -> _Part:
    return _Part(lambda values: value, (value,))


def _unary(fn: Callable[[Any], Any], part: _Part) -> _Part:
    get = part.get
    return _Part(lambda values: fn(get(values)))


def _binary(left: Get, fn: Operation, right: _Part) -> _Part:
    get = right.get
    if right.fixed:
        value = right.fixed[0]
        return _Part(lambda values: fn(left(values), value))
    return _Part(lambda values: fn(left(values), get(values)))


# Chains are loops, not closures inside closures: however long, they take no stack.


def _folded(first: Get, steps: Steps) -> _Part:
    """``first + a - b``, or ``first[a][b]``: each step is done with what the one before gave."""
    if len(steps) == 1:
        return _binary(first, *steps[0])
    calls = [(fn, part.get) for fn, part in steps]

    def get(values: Values) -> Any:
        value = first(values)
        for fn, other in calls:
            value = fn(value, other(values))
        return value

    return _Part(get)


def _compared(first: Get, steps: Steps) -> _Part:
    """``first < a <= b``: each operand is read at most once, and none after a comparison that is false."""
    if len(steps) == 1:
        return _binary(first, *steps[0])
    *calls, (last, end) = [(fn, part.get) for fn, part in steps]

    def get(values: Values) -> Any:
        value = first(values)
        for fn, other in calls:
            right = other(values)
            if not (result := fn(value, right)):
                return result
            value = right
        return last(value, end(values))

    return _Part(get)


def _chosen(gets: list[Get], *, truth: bool) -> _Part:
    """The first value whose truth is ``truth``, else the last one: ``or`` for True, ``and`` for False."""
    *tried, last = gets

    def get(values: Values) -> Any:
        for part in tried:
            value = part(values)
            if (not value) is not truth:
                return value
        return last(values)

    return _Part(get)


def _built(make: Callable[[list[Any]], Any], parts: list[_Part]) -> _Part:
    """A literal of several parts. One of constants is made once: no operator of the grammar can change it."""
    gets = [part.get for part in parts]
    if all(part.fixed for part in parts):
        try:
            return _constant(make([part.fixed[0] for part in parts]))
        except TypeError:  # unhashable, which is for evaluation to say
            pass
    return _Part(lambda values: make([get(values) for get in gets]))


class _Parser:
    """Precedence climbing, one word ahead, so that the first mistake is the one reported."""

    def __init__(self, text: str) -> None:
        self.text, self.slots, self.depth = text, dict[str, int](), 0
        self.kind, self.word, self.at, self.end = "", "", 0, 0
        self.words: list[str] = []
        self.advance()

    def error(self, what: str, mend: str, at: int | None = None) -> ConditionError:
        at = self.at if at is None else at
        before, after = self.text[:at], self.text[at:]
        shown = ("…" + before[-30:] if len(before) > 40 else before) + (after[:30] + "…" if len(after) > 40 else after)
        *lines, line = before.split("\n")
        where = f"line {len(lines) + 1}, column {len(line) + 1}" if "\n" in self.text else f"column {at + 1}"
        return ConditionError(f"{what}, at {where} of the condition {shown!r}", mend)

    def missing(self, what: str) -> ConditionError:
        word = self.word.lower()
        mend = f"Write `{word}`." if what == _OPERATOR and self.word.isupper() and word in _POWERS else _MISSING[what]
        return self.error(f"{what} is missing {f'before {brief(self.word)}' if word else 'at the end'}", mend)

    def refused(self) -> ConditionError:
        if self.word in ("'", '"'):
            return self.error("a string is not closed", f"Close it with {self.word} on the same line.")
        after = re.match(r"\.\s*(\w+)\s*(\(?)", self.text[self.at :])
        if after is None:
            return self.error(f"{self.word!r} is not part of conditions", _MENDS.get(self.word, f"{_COMPUTE}."))
        name, call = after.groups()
        what = f"the {'method' if call else 'attribute'} .{brief(name)[1:-1]} is not part of conditions"
        return self.error(
            what, f"{_COMPUTE}." if call else f'If it is a key, write ["{name}"], else {WITH_REFERENCES}.'
        )

    def advance(self) -> None:
        found = _TOKEN.match(self.text, self.end)
        self.kind = str(found and found.lastgroup)
        self.word, (self.at, self.end) = (found[self.kind], found.span(self.kind)) if found else ("", (0, 0))
        if self.kind == "other" and self.word.isidentifier():
            self.kind = "name"
            while self.end < len(self.text) and ("_" + self.text[self.end]).isidentifier():
                self.end += 1
            self.word = self.text[self.at : self.end]
            if not self.word.isascii():
                from unicodedata import normalize

                self.word = normalize("NFKC", self.word)  # as Python does with the parameters of a call
            if self.word in _POWERS:
                self.kind = "op"
            elif iskeyword(self.word) and self.word not in _CONSTANTS:
                raise self.refused()
        elif self.kind == "other" or (self.kind == "op" and self.word not in _POWERS.keys() | _PUNCTUATION):
            raise self.refused()
        self.words.append(self.word)

    def on(self, *words: str) -> bool:
        return self.kind == "op" and self.word in words

    def taken(self, *words: str) -> bool:
        here = self.on(*words)
        if here:
            self.advance()
        return here

    def whole(self) -> _Part:
        part = self.expression(_OR)
        if self.on(","):
            raise self.error("a comma outside of brackets", "Write the parentheses of a tuple, or `and`.")
        if self.on(")", "]", "}", ":"):
            raise self.error(f"{self.word!r} has no opening bracket", "Delete it, or open the bracket.")
        if self.kind != "end":
            raise self.missing(_OPERATOR)
        return part

    def inner(self, floor: int = _OR) -> _Part:
        if self.depth == _DEEPEST:
            raise self.error(f"more than {_DEEPEST} levels of nesting", _SPLIT)
        self.depth += 1
        part = self.expression(floor)
        self.depth -= 1
        return part

    def expression(self, floor: int) -> _Part:
        part = self.operand(floor)
        while self.kind == "op" and (power := _POWERS.get(self.word, 0)) >= floor:
            if power <= _AND:
                word, gets = self.word, [part.get]
                while self.taken(word):
                    gets.append(self.expression(power + 1).get)
                part = _chosen(gets, truth=word == "or")
            else:
                part = (_compared if power == _COMPARE else _folded)(part.get, self.steps(power))
        return part

    def steps(self, power: int) -> Steps:
        steps: list[tuple[Operation, _Part]] = []
        while self.kind == "op" and _POWERS.get(self.word) == power:
            word, fn = self.word, _OPERATIONS[self.word]
            self.advance()
            if word == "not" and not self.taken("in"):
                raise self.error("`not` stands where an operator should", "Write `not in`, `!=`, or `and not`.")
            if word == "is" and self.taken("not"):
                fn = operator.is_not
            steps.append((fn, self.expression(power + 1)))
        return steps

    def operand(self, floor: int) -> _Part:
        if self.on("not") and floor > _NOT:
            raise self.error("`not` needs parentheses here", "Write (not ...).")
        if self.taken("not"):
            return _unary(operator.not_, self.inner(_NOT))
        if self.on("-", "+"):
            fn = operator.neg if self.word == "-" else operator.pos
            self.advance()
            part = self.inner(_UNARY)
            is_number = part.fixed and type(part.fixed[0]) in (int, float)
            return _constant(fn(part.fixed[0])) if is_number else _unary(fn, part)
        part, keys = self.atom(), list[tuple[Operation, _Part]]()
        while self.on("["):
            parts, comma = self.items("]", self.key, 1)
            keys.append((operator.getitem, _built(tuple, parts) if comma or len(parts) > 1 else parts[0]))
        if self.on("("):
            raise self.error("a call is not part of conditions, but for len(x)", f"{_COMPUTE}.")
        return _folded(part.get, keys) if keys else part

    def atom(self) -> _Part:
        if self.kind == "op":
            return self.bracket()
        if self.kind == "end":
            raise self.missing(_VALUE)
        if self.word == "len":
            return self.length()
        if self.kind != "name":
            part = _constant(self.number() if self.kind == "number" else self.string())
        elif self.word in _CONSTANTS:
            part = _constant(_CONSTANTS[self.word])
        else:
            part = _Part(operator.itemgetter(self.slots.setdefault(self.word, len(self.slots))))
        self.advance()
        return part

    def length(self) -> _Part:
        at = self.at
        self.advance()
        parts = self.items(")", self.inner)[0] if self.on("(") else []
        if len(parts) != 1:
            raise self.error("`len` is a function of one argument here, not a name", "Write len(x).", at)
        return _unary(len, parts[0])

    def number(self) -> int | float:
        whole = self.word[:2].lower() in ("0x", "0o", "0b") or not set(self.word) & set(".eE")
        try:
            return int(self.word, 0) if whole else float(self.word)
        except ValueError:
            raise self.error(f"{brief(self.word)} is no number", "Write it as in 12, 0.5 or 1e6.") from None

    def string(self) -> str:
        def unescaped(found: re.Match[str]) -> str:
            if found[1] is None:
                raise self.error("a backslash escapes nothing", r"Write \\ for a backslash.", self.at)
            return found[0].encode().decode("unicode_escape")

        prefix, body = self.word[:-1].split(self.word[-1], 1)
        if prefix.lower() not in ("", "r", "u"):
            raise self.error(f"a string with {prefix!r} before it is not part of conditions", "Write a plain string.")
        try:
            return body if prefix in ("r", "R") else _ESCAPE.sub(unescaped, body)
        except UnicodeDecodeError:
            raise self.error("an escape names no character", "Write the character itself.") from None

    def items(self, closing: str, item: Callable[[], _Part], least: int = 0) -> tuple[list[_Part], bool]:
        """What stands in a bracket, and whether its last item has a comma after it."""
        opening, at, parts, comma = self.word, self.at, list[_Part](), True
        self.advance()
        while not self.on(closing) or len(parts) < least:
            if self.kind == "end":
                raise self.error(f"{opening!r} is not closed", f"Write {closing!r} where it ends.", at)
            if not comma:
                raise self.missing(_OPERATOR)
            parts.append(item())
            comma = self.taken(",")
        self.advance()
        return parts, comma and bool(parts)

    def bracket(self) -> _Part:
        if self.on("("):
            parts, comma = self.items(")", self.inner)
            return parts[0] if len(parts) == 1 and not comma else _built(tuple, parts)
        if self.on("["):
            return _built(list, self.items("]", self.inner)[0])
        if not self.on("{"):
            raise self.missing(_VALUE)
        at, values = self.at, list[_Part]()

        def entry() -> _Part:
            key = self.inner()
            if self.taken(":"):
                values.append(self.inner())
            return key

        keys, _ = self.items("}", entry)
        if keys and not values:
            return _built(set, keys)
        if len(keys) != len(values):
            raise self.error("a value has no key", "Write either a dict or a set.", at)
        flat = [part for pair in zip(keys, values, strict=True) for part in pair]
        return _built(lambda made: dict(zip(made[::2], made[1::2], strict=True)), flat)

    def key(self) -> _Part:
        none = _constant(None)
        bounds = [none if self.on(":") else self.inner()]
        while len(bounds) < 3 and self.taken(":"):
            bounds.append(none if self.on(":", ",", "]") else self.inner())
        return _built(lambda made: slice(*made), bounds) if len(bounds) > 1 else bounds[0]


def brief(text: str, longest: int = 20) -> str:
    """The text in quotes, as messages show it: of a long one the beginning."""
    return repr(text if len(text) <= longest else text[:longest] + "…")
