"""Values of a run as plain data that JSON can hold: cut to a bound, without secrets, without running anybody's code.

It is called in the run's thread for a node, since what that gave may change as soon as the next one has it. The common
case, a few numbers and short texts that have been seen before, has a path of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from math import isfinite
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hush.core.extend import remember_secrets, secrets_known, without_named_secrets, without_secrets
from hush.observability._bounds import PREVIEW, SHORT, Bounds
from hush.observability._kinds import BYTES, DICT, ENUM, ERROR, FLOAT, INT, SEQUENCE, STR, issubclass_of, known
from hush.observability._look import attribute, full_name, hides_itself, module_of, named, of_class
from hush.observability._secret_places import LONGEST_NAME, SECRET, hide_entry, is_pair, is_secret, without_argument

_SHOWN_AS_TEXT = frozenset(
    id(kind)
    for kind in (
        *(Decimal, Fraction, UUID, date, datetime, time, timedelta, complex, range),
        *(PosixPath, WindowsPath, PurePosixPath, PureWindowsPath),
    )
)
_ZONES = frozenset(id(kind) for kind in (type(None), timezone, ZoneInfo))
"""Zones of others are asked what time it is there when a time is written."""
_ARRAYS = frozenset({"jax", "jaxlib", "numpy", "pandas", "polars", "pyarrow", "scipy", "tensorflow", "torch"})
_KNOWN_NAMES = 10_000
_MOST_REMEMBERED = 1_000
_SHORTEST = 8
"""Characters of what hides itself and is sought elsewhere too: shorter ones may be ordinary words."""
_LEAST, _MOST = -(2**63), 2**63 - 1  # what a file can hold as a number
_MARGIN = 10_000
"""Characters beyond a cut that are searched for secrets: longer than any of them."""

_secrets_known = 0
_plain_keys: set[str] = set()
_plain_texts: set[str] = set()
"""Short texts that may stand as they are: the same ones come again and again, and to look for secrets takes longest."""
_remembered: set[str] = set()


def preview(values: Mapping[str, Any], bounds: Bounds) -> dict[str, Any]:
    """``values`` as plain data. Where something cannot be shown, its place says so; nothing is raised."""
    own = as_they_are(None, values, bounds.few)
    if own is not None:
        return own
    if _secrets_known != secrets_known():
        _forget_plain()
    found: dict[str, Any] = {}
    left = [bounds.total]
    try:
        few = len(values) <= bounds.few
        pairs = values.items() if type(values) is dict or not isinstance(values, dict) else dict.items(values)
        for key, value in pairs:
            plain = type(key) is str and (key in _plain_keys or _is_plain(key))
            if few and plain and _is_short(value):
                found[key] = _plain(value, bounds, 1, [bounds.total])  # not counted, as there
                continue
            if len(found) >= bounds.items or left[0] <= 0:
                found["…"] = f"{len(values) - len(found):,} more"
                break
            if plain:
                left[0] -= len(key)
                found[key] = _shown(value, bounds, 1, left)
                continue
            name = _text(key, bounds) if type(key) is str else f"<{named(type(key))}>"
            left[0] -= len(name)
            secret = value is not None and is_secret(key if type(key) is str else name)
            found[name] = _hidden(value) if secret else _shown(value, bounds, 1, left)
    except Exception as exc:  # a mapping that changes, or that is somebody's own: what is shown harms nobody
        found["…"] = f"not shown: {named(type(exc))}"
    return found


def as_they_are(inputs: Mapping[str, Any] | None, outputs: Mapping[str, Any], few: int) -> dict[str, Any] | None:
    """A copy of ``outputs``, if that and ``inputs``, which are ours, are their own previews; in less time than those.

    They are where each holds a ``few`` numbers and short texts at most, and there is nothing to hide in them.
    """
    if type(outputs) is not dict or len(outputs) > few or (inputs is not None and len(inputs) > few):
        return None
    if _secrets_known != secrets_known():
        _forget_plain()
    own = outputs.copy()  # first: another thread may change them meanwhile
    if len(own) > few:
        return None
    keys = _plain_keys
    for values in (own,) if inputs is None else (own, inputs):
        for key, value in values.items():
            if type(key) is not str or (key not in keys and not _is_plain(key)):
                return None
            kind = type(value)
            if kind is int:
                if not -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:  # what a file can hold as a number
                    return None
            elif kind is str:
                if len(value) > SHORT or (value not in _plain_texts and not _is_harmless(value)):
                    return None
            elif kind is float:
                if value - value != 0.0:  # it is infinite, or no number
                    return None
            elif kind is not bool and value is not None:
                return None
    return own


def _forget_plain() -> None:
    """One more secret is known, and what was plain may be that.

    The sets are replaced: whoever has looked for secrets before it was known, in another thread, notes that in the old.
    """
    global _secrets_known, _plain_keys, _plain_texts  # noqa: PLW0603  # one for the process, as the secrets are
    known = secrets_known()
    _plain_keys, _plain_texts = set(), set()
    _secrets_known = known  # last: who finds it equal finds the new sets


def shown(value: Any, bounds: Bounds = PREVIEW) -> Any:
    """One value as plain data, as in ``preview``."""
    if _secrets_known != secrets_known():
        _forget_plain()
    return _shown(value, bounds, 0, [bounds.total])


def clean(text: str, longest: int, hide: Callable[[str], str] = without_secrets) -> str:
    """A text without secrets, cut, and such that any file and any wire can hold it."""
    if type(text) is not str:
        text = exact(text)
    rest = len(text) - longest - _MARGIN
    if rest > 0:
        text = text[: longest + _MARGIN]
    text = hide(text)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if rest > 0:
        # What lies far beyond the cut need not be searched. A secret across the cut is whole in the margin; one across
        # the end of the margin is not, so that is never shown, however short what went before has become.
        kept = min(longest, max(len(text) - _MARGIN, 0))
        return f"{text[:kept]}… ({len(text) - kept + rest:,} more characters)"
    if len(text) > longest:
        text = f"{text[:longest]}… ({len(text) - longest:,} more characters)"
    return text


def without_named(text: str, bounds: Bounds) -> str:
    """JSON without what stands under secret names in it: as it stays a text, no one has read it yet."""
    hidden = without_named_secrets(text)
    if hidden == text:
        return text
    try:
        return json.dumps(_shown(json.loads(text), bounds, 0, [bounds.total]), ensure_ascii=False)
    except (ValueError, RecursionError):  # it was cut, or is no JSON
        return hidden


def exact(text: str) -> str:
    """A text of a class of its own as one of Python's, by nobody's code but Python's."""
    return str.__str__(text)


def _is_short(value: Any) -> bool:
    """Whether it is a number or a short text, or nothing; by identity, since a metaclass may have an ``__eq__``."""
    kind = type(value)
    if kind is str:
        return len(value) <= SHORT
    return kind is int or kind is float or kind is bool or value is None


def _text(value: str, bounds: Bounds) -> str:
    return clean(value, bounds.text)


def _is_plain(key: str) -> bool:
    """Whether a name may stand as it is, which is remembered: the names of inputs are few, and asked for each value."""
    names = _plain_keys  # before it is looked at
    plain = len(key) <= 100 and key.isidentifier() and key.isascii() and not is_secret(key)
    plain = plain and without_secrets(key) == key
    if plain:
        _note(names, key)
    return plain


def _is_harmless(text: str) -> bool:
    """Whether a short text may stand as it is, which is remembered."""
    texts = _plain_texts  # before it is looked at
    harmless = clean(text, SHORT) == text
    if harmless:
        _note(texts, text)
    return harmless


def _note(plain: set[str], text: str) -> None:
    if len(plain) >= _KNOWN_NAMES:
        plain.clear()
    plain.add(text)


def _shown(value: Any, bounds: Bounds, depth: int, left: list[int]) -> Any:
    try:
        return _plain(value, bounds, depth, left)
    except Exception as exc:  # it changes in another thread, or is broken: the others are shown nevertheless
        return f"<{named(type(value))}: not shown: {named(type(exc))}>"


def _plain(value: Any, bounds: Bounds, depth: int, left: list[int]) -> Any:  # noqa: C901  # one case a kind of value
    # Nobody's code runs here but an exception's ``__str__``: what a class says of itself, even to ``isinstance``, may
    # come from a property, a metaclass, or an object that asks a server for it.
    kind = type(value)
    if kind is str:
        short, texts = len(value) <= SHORT, _plain_texts  # before it is looked at
        if short and value in texts and len(value) <= left[0] and len(value) <= bounds.text:
            left[0] -= len(value)
            return value
        longest = min(bounds.text, max(left[0], 0))
        text = clean(value, longest) if longest else f"({len(value):,} characters)"
        left[0] -= len(text)
        if short and text == value:
            _note(texts, value)
        return text
    left[0] -= 4  # a large table of numbers has a bound too
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if _LEAST <= value <= _MOST else _number(value)
    if kind is float:
        return value if isfinite(value) else str(value)
    left[0] -= 4
    if (kind is dict or kind is list) and depth < bounds.depth and left[0] > 0:  # at once, since most are
        if kind is dict:
            return _table(value.items(), len(value), bounds, depth, left)
        return _list(value, len(value), bounds, depth, left)
    about = known(kind)
    bases = about.bases
    if bases & ENUM:  # also one that is a text, and whose ``__repr__`` is not its own
        return _plain(attribute(value, "_value_"), bounds, depth, left)
    if bases & STR:
        if hides_itself(kind):
            _remember(exact(value))
            return SECRET
        return _plain(exact(value), bounds, depth, left)
    if about.hides:
        hidden = attribute(value, "_secret_value")  # where pydantic keeps it
        if issubclass_of(type(hidden), str):
            _remember(exact(hidden))
        return SECRET
    if bases & INT:
        return _plain(int.__pos__(value), bounds, depth, left)
    if bases & FLOAT:
        return _plain(float.__pos__(value), bounds, depth, left)
    if bases & BYTES:
        binary = bytes if issubclass_of(kind, bytes) else bytearray
        return f"<{binary.__len__(value):,} bytes>"
    if kind is memoryview:
        return f"<{value.nbytes:,} bytes>"
    if id(kind) in _SHOWN_AS_TEXT:  # by identity: a metaclass may have an ``__eq__`` and a ``__hash__``
        if (kind is datetime or kind is time) and id(type(value.tzinfo)) not in _ZONES:
            value = value.replace(tzinfo=None)
        return clean(str(value), bounds.text)
    if bases & ERROR:
        return f"{named(kind)}: {clean(said(value), bounds.text, without_named_secrets)}"
    if depth >= bounds.depth or left[0] <= 0:
        return f"<{named(kind)}>"
    if bases & DICT:
        return _table(dict.items(value), dict.__len__(value), bounds, depth, left)
    if bases & SEQUENCE:
        sequence = next(one for one in (tuple, list, set, frozenset) if issubclass_of(kind, one))
        each: Any = sequence.__iter__(value)
        length: int = sequence.__len__(value)
        names = None if kind is tuple or sequence is not tuple else of_class(kind, "_fields")
        if type(names) is tuple and all(type(name) is str for name in names):
            return _table(zip(names, each, strict=False), length, bounds, depth, left)
        return _list(each, length, bounds, depth, left)
    if about.fields is not None:  # one after the other, since most are beyond the bound
        pairs = ((name, attribute(value, name)) for name in about.fields)
        return _table(pairs, len(about.fields), bounds, depth, left)
    if module_of(kind).partition(".")[0] in _ARRAYS:
        return _array(value, kind, bounds, depth, left)
    return f"<{full_name(kind)}>"


def _array(value: Any, kind: type, bounds: Bounds, depth: int, left: list[int]) -> Any:
    """A table or an array of a library that is known to answer at once: what form it has; of one number, that."""
    shape = getattr(value, "shape", None)
    if type(shape) is not tuple:
        return f"<{full_name(kind)}>"
    if not shape and module_of(kind) == "numpy" and named(kind) != "ndarray":
        return _plain(value.item(), bounds, depth + 1, left) if depth < bounds.depth else f"<{full_name(kind)}>"
    return f"<{named(kind)} {' x '.join(str(one) for one in shape)}>"


def _hidden(value: Any) -> str:
    """What stands under the name of a secret. A plain text is not sought elsewhere: a ``token`` may be any word."""
    kind = type(value)
    if (kind is not str and issubclass_of(kind, str)) or of_class(kind, "get_secret_value") is not None:
        _shown(value, PREVIEW, 0, [PREVIEW.total])
    return SECRET


def _remember(secret: str) -> None:
    """What hides itself is to be found by value elsewhere too; of so many at most, since each is sought everywhere."""
    if len(secret) >= _SHORTEST and len(_remembered) < _MOST_REMEMBERED and secret not in _remembered:
        _remembered.add(secret)
        remember_secrets([secret])
        _forget_plain()  # the rest of what is being looked at may hold it


def _number(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # more digits than Python writes
        return f"<int of {value.bit_length():,} bits>"


def _table(pairs: Iterable[tuple[Any, Any]], count: int, bounds: Bounds, depth: int, left: list[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for seen, (key, value) in enumerate(pairs):
        if seen >= bounds.items or left[0] <= 0:
            found["…"] = f"{count - seen:,} more"
            break
        if type(key) is str and (
            key in _plain_keys or _is_plain(key)
        ):  # as most are: they are worth a way of their own
            left[0] -= len(key)
            show = _plain if type(value) is str or _is_short(value) else _shown
            found[key] = show(value, bounds, depth + 1, left)
            continue
        raw = key if type(key) is str else str(_shown(key, bounds, bounds.depth, left))
        name = clean(raw, 200)
        left[0] -= len(name)
        secret = value is not None and type(value) is not bool and is_secret(raw[:1_000])
        found[name] = _hidden(value) if secret else _shown(value, bounds, depth + 1, left)
    if "value" in found:
        hide_entry(found, "name", "key", "value")
    elif "Value" in found:
        hide_entry(found, "Name", "Key", "Value")
    if type(found.get("arguments")) is str:
        found["arguments"] = without_named(found["arguments"], bounds)
    return found


def _list(values: Iterable[Any], count: int, bounds: Bounds, depth: int, left: list[int]) -> list[Any]:
    found: list[Any] = []
    secret = False  # whether the one before says so of this one
    for value in values:
        if len(found) >= bounds.items or left[0] <= 0:
            found.append(f"… {count - len(found):,} more")
            break
        kind = type(value)
        if kind is str and (secret or "=" in value or value[:2] == "--"):
            hidden = without_argument(value, secret)
            secret = value[:2] == "--" and is_secret(value[:LONGEST_NAME]) and hidden == value
            value = hidden  # of which the rest is shown
        else:
            secret = False
            if (kind is tuple or kind is list) and len(value) == 2 and depth + 1 < bounds.depth and is_pair(value):
                found.append([_shown(value[0], bounds, depth + 2, left), _hidden(value[1])])
                continue
        found.append(_shown(value, bounds, depth + 1, left))
    return found


def said(error: BaseException) -> str:
    """What an error says; its own ``__str__`` may raise, whatever it likes."""
    try:
        return exact(str(error))
    except KeyboardInterrupt:  # it is for whoever waits for the run
        raise
    except BaseException as exc:
        return f"<its text cannot be read: {named(type(exc))}>"


def parts_of(error: BaseException) -> Sequence[BaseException]:
    """Those that an exception group holds."""
    if not issubclass_of(type(error), BaseExceptionGroup):
        return ()
    return BaseExceptionGroup.exceptions.__get__(error)  # type: ignore[no-any-return]
