"""``end_of_field``: whether what follows ``name:`` in a text is a secret, and where it ends; likewise brackets."""

from __future__ import annotations

import re

from hush.core._resources._secret_names import base_of

QUOTED = re.compile(
    r"""[bBrRuUfF]{0,2}(?P<quote>"{3}|'{3}|\\{0,3}["'])(?P<inside>(?:(?!(?P=quote))(?:[^\\\n]|\\.))*)"""
    r"""(?:(?P=quote)|\\?(?=\n|\Z))""",
    re.ASCII,
)
"""A text in quotes, which may be escaped themselves; cut off, it goes to the end of the line."""
_BORDER = re.compile(rf"""(?<!\w){QUOTED.pattern}|(?P<open>[\[({{])|[\])}}]""", re.ASCII)
"""What is met between brackets; the quote in *it's* opens nothing."""
_OPENS_WITH_TEXT = re.compile(r"""[\[({][\s\[({]{0,16}[bBrRuUfF]{0,2}["']""")
_FARTHEST = 1_000  # characters from one text to the next
_DEEPEST = 16  # brackets: how often a name in them is read again
_IN = r"""["'](?![\s,;:)}\]]|\Z)"""  # a quote that closes nothing
_RUN = rf"""(?:[^\s"']|{_IN})+"""
_PAIR = rf"""(?:[^\s;"']|{_IN})+"""
_PLAIN = re.compile(
    rf"""(?:[|>][-+]?[ \t]*\n[ \t]*)?(?:(?:!\S{{0,40}}|&\S{{1,40}})[ \t]+)?(?P<run>{_RUN})"""  # YAML: a block, a tag
)
_BLOCK = re.compile(
    r"[|>][-+0-9]{0,2}[ \t]*\n(?P<indent>[ \t]{1,80})(?![ \t\n])[^\n]+(?:\n(?:(?P=indent)[^\n]+|[ \t]{0,80}(?=\n)))*"
)
"""A block of YAML: all lines with the indentation of its first."""
_LINE_OF_YAML = re.compile(r"[ \t]*(?:- )?[\w.-]{1,64}:(?:[ \t]|\r?\n|\Z)")
_BARE = r"""[^\s\[\](){}<>"',;$]++"""  # possessive: no part of it will do
_LIST = re.compile(rf"\[[ \t]?(?P<each>{_BARE}(?:,?[ \t]?{_BARE})*+)[ \t]?\]")
"""Several without quotes."""
_PHRASE = re.compile(r"""[^\n"'|;,]+""")
_AUTHORIZATION = re.compile(
    r"""(?:[A-Za-z][\w-]{0,40}[ \t]+(?![\w-]{1,64}:))?"""
    rf"""(?:(?:[\w-]{{1,40}}=(?:"[^"\n]*"|[^\s,"]*))(?:,[ \t]*[\w-]{{1,40}}=(?:"[^"\n]*"|[^\s,"]*))+|{_RUN})"""
)
_COOKIES = re.compile(rf"""{_PAIR}(?:"?;[ \t]*{_PAIR})*""")
_AROUND = ",;:.)}]|>'\"\\`"
"""What may close the sentence or the brackets around a value. At its end, it says nothing of it."""
_OPENS = frozenset("([{|>")
"""What stands before several values, or those on the next lines."""
_NO_VALUE = frozenset(["", *"\r\n[({<}])>,;"])
_ENOUGH = 64  # characters, by which a value is judged: what is kept is looked at again from the next name on

_FIRST_WORD = re.compile(r"(?:[A-Za-z_]\w*\.)*(?P<word>[A-Za-z]+(?:'[a-z]+)?)(?=\Z|[\[|(),;:=.!?])")
_NEXT_WORD = re.compile(r"[ \t]+[A-Za-z]")
_IS_SPOKEN_OF = re.compile(r"[ \t]+(?:not|is|was|does|did|has|had|cannot|could|must)\b")
_SAYS = frozenset(
    {"a", "an", "any", "are", "absent", "as", "at", "be", "been", "before", "bad", "blank", "but", "by"}
    | {"can", "can't", "cannot", "could", "denied", "did", "do", "does", "doesn't", "empty", "error"}
    | {"expected", "expired", "failed", "failure", "field", "for", "forbidden", "found", "from", "given"}
    | {"got", "had", "has", "have", "header", "if", "in", "incorrect", "input", "invalid", "is", "isn't"}
    | {"it", "it's", "its", "length", "malformed", "may", "mismatch", "missing", "might", "must", "no"}
    | {"non", "not", "of", "on", "only", "optional", "or", "please", "refused", "rejected", "required"}
    | {"revoked", "shall", "should", "that", "the", "these", "this", "to", "too", "unable"}
    | {"unauthorized", "undefined", "unexpected", "unknown", "unset", "use", "valid", "value", "was"}
    | {"wasn't", "were", "when", "will", "with", "without", "would", "wrong", "your", "none", "null"}
    | {"true", "false", "nil", "hidden", "masked", "redacted", "str", "string", "int", "integer", "float"}
    | {"number", "bool", "boolean", "bytes", "object", "dict", "list", "tuple", "set", "type", "sequence"}
    | {"mapping", "iterable", "callable", "union", "literal", "annotated", "classvar", "final"}
    | {"secretstr", "secretbytes", "self"}
)
"""What a sentence or a type begins with, and hardly a secret is."""
_CHOSEN = ("passphrase", "passwd", "password", "passwords", "pwd")
"""What people choose may be any word."""
_DIGITS = frozenset({"otp", "passcode", "pin"})
_MADE = frozenset({"auth", "bearer", "credential", "credentials", "jwt", "otp", "signature", "signatures"})
"""What sentences and logs have before a colon too, and what machines make."""
_FAULTS = frozenset({"bad", "expired", "illegal", "invalid", "malformed", "missing", "unexpected", "unknown", "wrong"})


def end_of_field(text: str, begin: int, name: str, at: int) -> int:
    """Where the secret ends that stands at ``at``, after ``name:``; ``at`` if there is none. ``begin`` is the name's.

    The name alone would not do: *Unexpected token: }*, *password: must be longer*, ``f(password: str)``. So:

    - The name ends as that of a secret: of ``auth_url:`` and ``AuthError:`` it is not.
    - What has no letter or digit, or begins as a sentence or a type does, is kept. So is what opens with a bracket,
      but for texts in quotes in it.
    - Under names that nobody writes in a sentence (``X-Api-Key``, ``access_token``) and under those of passwords, all
      else goes. So it does under ``token`` and ``secret`` at the begin of a line or after a mark. After another word,
      before one like *is* or *not*, and under names that sentences and logs begin with (``auth``), it goes if it looks
      made by a machine: 6 characters or more with a digit among them, or 16 of both cases. A ``pin`` is 4 digits or
      more.
    - The value is one run without blanks, or what stands in quotes. ``Authorization`` has a scheme besides, ``Cookie``
      all its pairs, a passphrase the rest of its clause. Among lines that all have a name and a colon it is the rest of
      the line, as in YAML, and of a block of YAML all of it.
    """
    opening = text[at : at + 1]
    if opening in _NO_VALUE and opening not in _OPENS:
        return at
    words = base_of(name)
    if not words:
        return at
    if opening in _OPENS:
        talk = _may_be_talk(text, begin, name, words, at)
        end = at if talk else _end_of_several(text, name, at)
        if end > at or opening != "|":
            return end
    last = words[-1]
    quoted = QUOTED.match(text, at)
    plain = None if quoted else _PLAIN.match(text, at, at + _ENOUGH)
    if quoted is not None:
        value, end = quoted["inside"][:_ENOUGH], quoted.end()
    elif plain is not None:
        value, end = plain["run"].rstrip(_AROUND), plain.end()
    else:
        return at
    if last in ("cookie", "cookies"):
        secret = "=" in value or looks_made(value)
    elif last in _DIGITS and value.isdigit():
        secret = len(value) >= 4
    elif last == "pin":
        secret = False
    else:
        if (plain is not None and _says_something(text, plain)) or not _is_some(value, last):
            return at
        secret = not _may_be_talk(text, begin, name, words, end) or looks_made(value)
    if not secret:
        return at
    if quoted is not None:
        return quoted.end()
    if last not in ("authorization", "cookie", "cookies") and _is_of_yaml(text, begin, at):
        end = text.find("\n", at)
        line = text[at:] if end < 0 else text[at:end]
        return at + len(line.partition(" #")[0].rstrip())
    return at + len(_whole(text, at, last).rstrip(_AROUND))


def _end_of_several(text: str, name: str, at: int) -> int:
    """Where a block of YAML, or a bracket that holds secrets, ends."""
    if text[at] in "|>":
        block = _BLOCK.match(text, at)
        return at if block is None else block.end()
    return max(end_of_bracket(text, at), end_of_list(text, name, at))


def end_of_bracket(text: str, at: int, *, code: bool = False) -> int:
    """Where the bracket at ``at`` ends if texts in quotes are in it, as in ``['a', 'b']``; else ``at``.

    Not closed, or not soon after a text, it ends with its last text. In ``code`` a text must come first:
    ``(find("a"))`` is no value.
    """
    if code and _OPENS_WITH_TEXT.match(text, at) is None:
        return at
    depth, end = 0, at
    for found in _BORDER.finditer(text, at):
        if found.start() > end + _FARTHEST:
            break
        if found["quote"] is not None:
            end = found.end() if found["inside"] else end
        elif found["open"] is None:
            depth -= 1
            if depth == 0:
                return found.end() if end > at else at
        elif depth == _DEEPEST:
            break
        else:
            depth += 1
    return end


def end_of_list(text: str, name: str, at: int) -> int:
    """Where a list without quotes ends, as in ``[abc, def]``, if there are secrets in it; else ``at``."""
    found = _LIST.match(text, at)
    words = base_of(name)
    if found is None or not words:
        return at
    each = found["each"].replace(",", " ").split()
    named = (len(words) > 1 and words[0] not in _FAULTS) or words[-1].endswith(_CHOSEN)
    if any(map(looks_made, each)) or (named and any(map(str.isalpha, found["each"])) and not is_said(each[0])):
        return found.end()
    return at


def is_said(word: str) -> bool:
    """Whether a sentence or a type begins so, and hardly a secret does."""
    return word.lower() in _SAYS


def is_compared(name: str, value: str) -> bool:
    """Whether ``value``, which somebody compared what is under ``name`` with, is a secret: ``password == "abc"``."""
    words = base_of(name)
    return looks_made(value) or (len(value) >= 4 and words != [] and words[-1].endswith(_CHOSEN))


def _whole(text: str, at: int, last: str) -> str:
    form = _PLAIN
    if last == "authorization":
        form = _AUTHORIZATION
    elif last in ("cookie", "cookies"):
        form = _COOKIES
    elif last == "passphrase":
        form = _PHRASE
    found = form.match(text, at) or _PLAIN.match(text, at)
    assert found is not None
    return found[0]


def _is_of_yaml(text: str, begin: int, at: int) -> bool:
    """Whether a name at ``begin`` opens a line, and the line before or after has a name and a colon too.

    Alone it may be the begin of a sentence: *password: hunter2 and more*.
    """
    start = text.rfind("\n", max(begin - 80, 0), begin) + 1
    if (start == 0 and begin > 80) or text[start:begin].strip(" \t") not in ("", "-") or text[at - 1] not in " \t":
        return False
    following = text.find("\n", at, at + _FARTHEST) + 1
    if following and _LINE_OF_YAML.match(text, following):
        return True
    before = max(text.rfind("\n", max(start - _FARTHEST, 0), max(start - 1, 0)) + 1, start - _FARTHEST, 0)
    return start > 0 and _LINE_OF_YAML.match(text, before) is not None


def _says_something(text: str, plain: re.Match[str]) -> bool:
    first = _FIRST_WORD.match(text, plain.start("run"), plain.end())
    if first is None or (word := first["word"].lower()) not in _SAYS:
        return False
    return len(word) > 2 or _NEXT_WORD.match(text, first.end()) is not None


def _is_some(value: str, last: str) -> bool:
    """Whether it is more than marks, such as asterisks in place of a value."""
    if any(map(str.isalnum, value)):
        return True
    return last.endswith(_CHOSEN) and len(value) >= 4 and len(set(value)) > 1


def _may_be_talk(text: str, begin: int, name: str, words: list[str], end: int) -> bool:
    """Whether a sentence may have the name before a colon: then the value has to show what it is."""
    last = words[-1]
    if last.endswith(_CHOSEN) or last == "authorization":
        return False
    if last in _MADE or words[0] in _FAULTS:
        return True
    if len(words) > 1 and " " not in name:
        return False
    if last in ("token", "secret") and _IS_SPOKEN_OF.match(text, end):
        return True
    before = text[max(begin - 8, 0) : begin]
    closed = before.rstrip(" \t")
    return closed != before and closed != "" and (closed[-1].isalnum() or closed[-1] in "\"')]")


_MADE_OF = re.compile(r"[\w+/=.~:$%-]{6,}", re.ASCII)


def looks_made(value: str) -> bool:
    """Whether a machine may have made it, as no word is: it has digits, or is long and has letters of both cases."""
    if _MADE_OF.fullmatch(value) is None or "://" in value:
        return False
    if any(map(str.isdigit, value)):
        return True
    return len(value) >= 16 and any(map(str.islower, value)) and any(map(str.isupper, value[1:]))
