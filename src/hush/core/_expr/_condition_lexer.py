"""The words of a condition, and what is said of a text that is none.

The grammar has a reader of its own because ``ast`` warns where this must refuse, knows no mend, and may run out of
stack on a hostile text.
"""

from __future__ import annotations

import re
from keyword import iskeyword

from hush.core._expr._condition_values import CONSTANTS, POWERS


class ConditionError(ValueError):
    """Raised for a text that is no condition: the message says what is wrong and where, ``mend`` what to write."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


_PUNCTUATION = frozenset("()[]{},:")

WITH_REFERENCES = 'write the condition with references: Branch(...).if_(node["k"].strip() == "x", ...)'
"""What mends say of a branch, where text is not enough."""
COMPUTE = f"Compute it in a node, or {WITH_REFERENCES}"
SPLIT = "Write and / or, or a condition of its own for each case."
_MENDS = {
    **{op + "=": "Compare with ==." for op in ("", ":", "==", *"+-*/%@&|^", "//", "**", "<<", ">>")},
    **dict.fromkeys(("<>", "!==", "≠"), "Write !=."),
    **dict.fromkeys("≤≥", "Write <= or >=."),
    "\xa0": "Write a plain space.",
    **dict.fromkeys(("&", "&&"), "Write `and`."),
    **dict.fromkeys(("|", "||"), "Write `or`."),
    **dict.fromkeys(("!", "~"), "Write `not`."),
    **dict.fromkeys("“”„‘’", "Write strings in ' or \"."),
    **dict.fromkeys(("if", "else", "?"), SPLIT),
    **dict.fromkeys(("#", ";", "\\"), "Write one expression and nothing else."),
}
_MISSING = {
    "a value": "Write a name, a number or a string there.",
    "an operator": "Write one there, such as == or and.",
}

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


class Lexer:
    """Reads a text word by word, one ahead of what has been understood, so that the first mistake is the one reported.

    Attributes:
        kind: What the word at hand is: ``name``, ``number``, ``string``, ``op``, or ``end``.
        words: Those read so far, that one included.
    """

    def __init__(self, text: str) -> None:
        self.text = text
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
        mend = (
            f"Write `{word}`." if what == "an operator" and self.word.isupper() and word in POWERS else _MISSING[what]
        )
        return self.error(f"{what} is missing {f'before {brief(self.word)}' if word else 'at the end'}", mend)

    def refused(self) -> ConditionError:
        if self.word in ("'", '"'):
            return self.error("a string is not closed", f"Close it with {self.word} on the same line.")
        after = re.match(r"\.\s*(\w+)\s*(\(?)", self.text[self.at :])
        if after is None:
            return self.error(f"{self.word!r} is not part of conditions", _MENDS.get(self.word, f"{COMPUTE}."))
        name, call = after.groups()
        what = f"the {'method' if call else 'attribute'} .{brief(name)[1:-1]} is not part of conditions"
        return self.error(what, f"{COMPUTE}." if call else f'If it is a key, write ["{name}"], else {WITH_REFERENCES}.')

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
            if self.word in POWERS:
                self.kind = "op"
            elif iskeyword(self.word) and self.word not in CONSTANTS:
                raise self.refused()
        elif self.kind == "other" or (self.kind == "op" and self.word not in POWERS.keys() | _PUNCTUATION):
            raise self.refused()
        self.words.append(self.word)

    def on(self, *words: str) -> bool:
        return self.kind == "op" and self.word in words

    def taken(self, *words: str) -> bool:
        here = self.on(*words)
        if here:
            self.advance()
        return here

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


def brief(text: str, longest: int = 20) -> str:
    """The text in quotes, as messages show it: of a long one the beginning."""
    return repr(text if len(text) <= longest else text[:longest] + "…")
