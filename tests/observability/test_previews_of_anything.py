"""Previews: whatever a value is, what is kept of it is plain, bounded and without secrets, and nobody's code ran."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import types
import uuid
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.core.events import NodeRan
from hush.core.extend import remember_secrets, without_secrets
from hush.observability import _preview
from hush.observability._bounds import BRIEF, EVERYTHING, PREVIEW, SHORT, Bounds
from hush.observability._condense import Condenser
from hush.observability._failure import failure_of
from hush.observability._preview import as_they_are, preview, shown
from kit.previews import dumped

pytestmark = pytest.mark.usefixtures("forgetting")


SMALL = Bounds(text=30, items=5, depth=3, total=200)
BOUNDS = [PREVIEW, SMALL, EVERYTHING]


# ── Values that are drawn ────────────────────────────────────────────────────────────────────────────────────────────
texts = st.text(st.characters(categories=None), max_size=40)  # surrogates and NULs too
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([63, 70, 20_000, 30_000]).map(lambda bits: 2**bits),
    st.floats(),
    texts,
    st.binary(max_size=50),
    st.binary(max_size=50).map(bytearray),
    st.binary(max_size=50).map(memoryview),
    st.decimals(),
    st.fractions(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
    st.complex_numbers(),
)
keys = st.one_of(texts, st.integers(), st.none(), st.binary(max_size=5), st.tuples(texts))
nested = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=30),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=30),
        st.lists(inner, max_size=3).map(lambda each: OrderedDict(enumerate(each))),
    ),
    max_leaves=25,
)
drawn = settings(max_examples=80, derandomize=True, database=None, deadline=None)


def seen_as(value: Any) -> Any:
    """What can be compared: NaN is not equal to itself."""
    if isinstance(value, dict):
        return [(seen_as(key), seen_as(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return [type(value), *map(seen_as, value)]
    if isinstance(value, memoryview):
        return bytes(value)
    return hex(value) if isinstance(value, int) else (type(value), repr(value))


def size_of(value: Any) -> int:
    """Characters of all texts in it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + size_of(each) for key, each in value.items())
    return sum(map(size_of, value)) if isinstance(value, list) else 0


def depth_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


def widest_of(value: Any) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return max([len(inner), *map(widest_of, inner)])


@drawn
@given(st.dictionaries(texts, nested, max_size=8), st.sampled_from(BOUNDS))
def test_whatever_a_value_is_its_preview_is_plain_and_bounded(values, bounds):
    before = seen_as(values)
    found = preview(values, bounds)
    dumped(found)
    assert depth_of(found) <= bounds.depth + 1
    assert widest_of(found) <= bounds.items + 1
    assert seen_as(values) == before


@drawn
@given(nested)
def test_the_bound_of_all_together_holds_about(value):
    # Each value is begun while there is room left; a name, what is said of the rest, and a number are not cut.
    assert size_of(preview({"x": value}, SMALL)) <= SMALL.total + (SMALL.text + 260) * (SMALL.depth + 1)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_many_small_values_are_bounded_too(bounds):
    found = preview({f"n{number}": number for number in range(200_000)}, bounds)
    assert len(found) <= bounds.items + 1
    assert found["…"].endswith("more")


def test_small_plain_values_are_kept_as_they_are():
    values = {"a": 1, "b": "text", "c": None, "d": True, "e": 1.5, "f": [1, {"g": (2, 3)}], "h": {}}
    assert preview(values, PREVIEW) == {**values, "f": [1, {"g": [2, 3]}]}


small = st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats() | st.text("ab", max_size=150)


@drawn
@given(
    st.dictionaries(st.text("abc", max_size=3), small | st.lists(small, max_size=2), max_size=25),
    st.sampled_from(BOUNDS),
)
def test_small_values_are_shown_alike_and_bounded_whatever_was_seen_before(values, bounds):
    _preview._plain_keys.clear()
    _preview._plain_texts.clear()
    first = preview(values, bounds)
    assert preview(values, bounds) == first
    assert first is not values
    dumped(first)
    assert widest_of(first) <= bounds.items + 1
    assert all(len(text) <= bounds.text + 40 for text in first.values() if type(text) is str)


def test_what_is_shown_is_a_copy():
    values = {"a": 1, "b": "text"}
    assert preview(values, PREVIEW) == values
    assert preview(values, PREVIEW) is not values


@drawn
@given(
    st.none() | st.dictionaries(st.text("abc", max_size=3), small, max_size=8),
    st.dictionaries(st.text("abc", max_size=3), small | st.lists(small, max_size=2), max_size=8),
    st.sampled_from([PREVIEW, BRIEF]),
)
def test_what_is_kept_as_it_is_is_its_own_preview(inputs, outputs, bounds):
    _preview._plain_keys.clear()
    _preview._plain_texts.clear()
    first = as_they_are(inputs, outputs, bounds.few)
    shown = None if inputs is None else preview(inputs, bounds), preview(outputs, bounds)
    own = as_they_are(inputs, outputs, bounds.few)  # what was looked at before is known
    assert own == first
    values = [*outputs.values(), *(inputs or {}).values()]
    plain = not any(
        type(value) is list
        or (type(value) is str and len(value) > SHORT)
        or (type(value) is float and not math.isfinite(value))
        or out_of_range(value)
        for value in values
    )
    named = "" not in {*outputs, *(inputs or {})}
    few = max(len(outputs), len(inputs or {})) <= bounds.few
    assert (own is not None) is (plain and named and few)
    if own is not None:
        assert own is not outputs
        assert (inputs, own) == shown


def out_of_range(value: Any) -> bool:
    return type(value) is int and not -(2**63) <= value < 2**63


def test_only_what_cannot_change_and_is_small_is_kept_as_it_is():
    class Number(int):
        pass

    class Table(dict[str, Any]):
        pass

    preview({"x": "text", "y": 1, "z": 1}, PREVIEW)
    assert as_they_are({"x": "text"}, {"y": 1, "z": 1.5}, 20) == {"y": 1, "z": 1.5}
    for value in ("x" * (SHORT + 1), 2**63, [1], {"a": 1}, (1,), b"x", Number(1), object(), decimal.Decimal(1)):
        for _ in range(2):
            assert as_they_are({}, {"y": value}, 20) is None
            assert as_they_are({"x": value}, {"y": 1}, 20) is None
            preview({"x": value}, PREVIEW)
    assert as_they_are({}, Table(y=1), 20) is None
    for key in (1, ("a",), object(), "x" * (SHORT + 1)):
        for _ in range(2):
            assert as_they_are({}, {key: 1}, 20) is None
            preview({key: 1}, PREVIEW)
    assert as_they_are({"x": 1, "y": 2}, {"y": 1}, 1) is None
    assert as_they_are(None, {"y": 1}, -1) is None  # nothing is to be kept
    assert as_they_are(None, {}, 0) == {}


def test_a_text_that_nobody_has_looked_at_is_looked_at():
    for _ in range(2):
        assert as_they_are(None, {"key": "a text"}, 20) == {"key": "a text"}
        for text in ("Bearer abcdefghijklmnop", "a\0b", "\ud800"):
            assert as_they_are(None, {"key": text}, 20) is None
            assert preview({"key": text}, PREVIEW) != {"key": text}
        for key in ("api_key", "no name", "sk-1234"):
            assert as_they_are(None, {key: "a text"}, 20) is None


def test_what_was_harmless_is_not_kept_once_it_is_a_secret():
    text = "harmless text 5713"
    for _ in range(2):
        preview({"key": text}, PREVIEW)
        assert as_they_are({"key": 1}, {"key": text}, 20) == {"key": text}
        assert as_they_are({"key": text}, {"key": 1}, 20) == {"key": 1}
    remember_secrets([text])
    assert as_they_are({"key": 1}, {"key": text}, 20) is None
    assert as_they_are({"key": text}, {"key": 1}, 20) is None


def test_what_json_cannot_hold_is_said():
    found = preview({"huge": 10**5_000, "nan": math.nan, "inf": -math.inf, "large": 2**70, "nul": "a\0b"}, PREVIEW)
    assert found["huge"] == "<int of 16,610 bits>"
    assert (found["nan"], found["inf"], found["large"]) == ("nan", "-inf", str(2**70))
    assert found["nul"] == "a\N{REPLACEMENT CHARACTER}b"
    dumped(found)


def test_what_contains_itself_ends():
    many: list[Any] = []
    many += [many] * 30
    table: dict[Any, Any] = {}
    table.update({"self": table, "many": many})
    for bounds in BOUNDS[:2]:
        assert size_of(preview({"x": table, "y": many}, bounds)) < 40_000


def test_one_value_that_cannot_be_shown_does_not_hide_the_others():
    broken = memoryview(bytearray(4))
    broken.release()
    found = preview({"a": [1.5, broken, 2.5], "b": "é"}, PREVIEW)
    assert found == {"a": [1.5, "<memoryview: not shown: ValueError>", 2.5], "b": "é"}


# ── Nobody's code ────────────────────────────────────────────────────────────────────────────────────────────────────
ran: list[str] = []


class Ran(BaseException):
    """Nobody may catch it and go on."""


def runs(name: str) -> Any:
    def method(*given: Any, **named: Any) -> NoReturn:
        ran.append(name)
        raise Ran(name)

    return method


METHODS = (
    *("repr", "str", "format", "getattr", "getattribute", "iter", "next", "len", "bool", "eq", "hash", "getitem"),
    *("contains", "index", "int", "float", "call", "fspath", "bytes", "dir", "reversed", "aiter", "anext", "await"),
    *("instancecheck", "subclasscheck", "abs", "pos", "neg", "lt", "gt", "trunc", "round"),
)
NAMES = ("items", "keys", "values", "get", "dtype", "value", "isoformat", "tolist", "item", "to_dict", "model_dump")


class Meta(type):
    """A class whose every question is answered by code."""

    __getattr__ = __instancecheck__ = __subclasscheck__ = runs("metaclass")  # type: ignore[assignment]

    def __getattribute__(cls, name: str) -> Any:
        if not loud:
            return super().__getattribute__(name)
        ran.append(f"metaclass {name}")
        raise Ran(name)

    def __eq__(cls, other: object) -> bool:
        if loud:
            ran.append("metaclass ==")
        return cls is other

    def __hash__(cls) -> int:
        if loud:
            ran.append("metaclass hash")
        return id(cls)


loud: list[int] = []


def hostile(*bases: type, **more: Any) -> type:
    """A class of these bases whose every method, property and attribute is code that counts."""
    methods = {name: runs(name) for name in (*(f"__{each}__" for each in METHODS), *NAMES)}
    prop = property(runs("a property"))
    body = {**methods, "__class__": prop, "__module__": "hostile", "name": prop, "shape": prop, "x": prop, **more}
    return Meta("Hostile", bases, body)


BASES: list[tuple[type, tuple[Any, ...]]] = [
    (object, ()),
    (int, (7,)),
    (float, (7.5,)),
    (str, ("text",)),
    (bytes, (b"text",)),
    (bytearray, (b"text",)),
    (list, ([1.5, 2],)),
    (tuple, ((1.5, 2),)),
    (set, ()),
    (frozenset, ((1, 2),)),
    (dict, ({"k": 1.5},)),
    (datetime.date, (2020, 1, 1)),
    (datetime.datetime, (2020, 1, 1)),
    (datetime.timedelta, (1,)),
    (decimal.Decimal, ("1.5",)),
    (complex, (1, 2)),
    (uuid.UUID, ("12345678123456781234567812345678",)),
    (types.SimpleNamespace, ()),
    (OrderedDict, ({"k": 1},)),
]


@pytest.mark.parametrize(("base", "given_"), BASES, ids=lambda each: getattr(each, "__name__", ""))
@pytest.mark.parametrize("bounds", BOUNDS[:2])
def test_nothing_of_the_users_runs(base, given_, bounds):
    value = base.__new__(hostile(base), *given_)
    if base in (list, dict, bytearray, OrderedDict, set):
        base.__init__(value, *given_)
    ran.clear()
    loud.append(1)
    try:
        found = preview({"x": value, "y": [value], "z": {"k": (value,)}}, bounds)
        alone, failure = shown(value, bounds), failure_of(value)
    finally:
        loud.clear()
        seen, ran[:] = list(ran), []
    assert not seen
    dumped([found, alone, failure])


def test_properties_of_data_classes_and_named_tuples_do_not_run():
    @dataclass
    class Plain:
        shown: int
        hidden: str = field(repr=False)
        lazy: int = 3

        @property
        def dear(self) -> NoReturn:
            raise Ran

    value = Plain(1, "hunter2")
    Plain.lazy = property(runs("lazy"))  # type: ignore[assignment]
    ran.clear()
    assert shown(value) == {"shown": 1, "lazy": 3}
    assert shown(namedtuple("Point", "x y")(1, 2)) == {"x": 1, "y": 2}
    assert not ran


def test_a_property_in_the_place_of_the_dict_does_not_run():
    @dataclass
    class Plain:
        x: int = 1

    class Odd(Plain):
        __dict__ = property(runs("dict"))  # type: ignore[assignment]

    ran.clear()
    assert shown(Odd(2)) == {"x": 1}  # what its class says
    assert not ran


def test_slots_and_what_was_never_set():
    @dataclass(slots=True)
    class Slotted:
        a: int
        b: int

    value = Slotted(1, 2)
    del value.b
    assert shown(value) == {"a": 1, "b": None}


def test_generators_and_iterators_are_never_advanced():
    made = (each for each in [1, 2, 3])
    it, mapped = iter([1, 2]), map(str, [1, 2])
    preview({"a": made, "b": [it], "c": {"d": mapped}}, EVERYTHING)
    assert (list(made), list(it), list(mapped)) == ([1, 2, 3], [1, 2], ["1", "2"])


def test_a_time_is_shown_without_asking_somebodys_zone():
    class Zone(datetime.tzinfo):
        utcoffset = dst = tzname = runs("zone")

    ran.clear()
    assert shown(datetime.datetime(2020, 1, 1, tzinfo=Zone())) == "2020-01-01 00:00:00"
    assert shown(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)) == "2020-01-01 00:00:00+00:00"
    assert not ran


def test_numbers_that_are_texts_and_enums_are_shown_as_their_values():
    class Colour(str, enum.Enum):  # noqa: UP042  # as many have them
        RED = "carmine"

    class Size(enum.IntEnum):
        LARGE = 3

    class Loud(int):
        __repr__ = runs("repr")

    assert shown([Colour.RED, Size.LARGE, Loud(4)]) == ["carmine", 3, 4]
    assert without_secrets("a carmine rose") == "a carmine rose"  # it was not taken for a secret


def test_an_array_says_its_form_and_a_number_of_numpy_itself():
    numpy = pytest.importorskip("numpy")
    found = preview(
        {"a": numpy.zeros((2, 3)), "b": numpy.int64(4), "c": numpy.float32(0.5), "d": numpy.str_("w")}, PREVIEW
    )
    assert found == {"a": "<ndarray 2 x 3>", "b": 4, "c": 0.5, "d": "w"}
    assert without_secrets("w word") == "w word"


# ── Failures ─────────────────────────────────────────────────────────────────────────────────────────────────────────
class Odd(Exception):
    """Answers nothing but with code."""

    __getattr__ = runs("getattr")
    __notes__ = property(runs("notes"))
    __cause__ = property(runs("cause"))  # type: ignore[assignment]
    __context__ = property(runs("context"))  # type: ignore[assignment]
    __traceback__ = property(runs("traceback"))  # type: ignore[assignment]


def test_of_an_error_only_its_text_is_asked_for():
    ran.clear()
    assert failure_of(Odd("what"))[1:] == ("what", (), (), (), None)
    assert not ran


@pytest.mark.parametrize("raised", [ValueError, SystemExit, GeneratorExit])
def test_an_error_whose_text_cannot_be_read_says_so(raised):
    class Mute(Exception):
        def __str__(self) -> str:
            raise raised("no")

    assert failure_of(Mute()).message == f"<its text cannot be read: {raised.__name__}>"


def test_groups_of_groups_are_bounded():
    def group(depth: int) -> Exception:
        return ValueError("x") if not depth else ExceptionGroup("g", [group(depth - 1)] * 10)

    def count(failure: Any) -> int:
        return 1 + sum(map(count, failure.causes))

    assert count(failure_of(group(5))) <= 200


@pytest.mark.parametrize("bounds", [PREVIEW, Bounds(text=200, items=5, depth=2, total=400, few=5)])
def test_what_is_plain_and_known_is_bounded_and_such_that_json_can_hold_it(bounds):
    values: dict[str, Any] = {f"n{number}": number for number in range(bounds.items + 5)}
    for _ in range(2):
        found = preview(values, bounds)
        assert len(found) == bounds.items + 1
        assert found["…"] == "5 more"
    for odd in (math.nan, -math.inf, 2**63, -(2**63) - 1):
        assert preview({"n1": 1.5, "n2": odd}, bounds) == {"n1": 1.5, "n2": str(odd)}
    assert preview({"n1": 2**63 - 1, "n2": -(2**63)}, bounds) == {"n1": 2**63 - 1, "n2": -(2**63)}


def test_what_is_broken_in_a_table_does_not_hide_the_rest_of_it():
    broken = memoryview(b"x")
    broken.release()
    values = {"t": {"ok": 1, "broken": broken, "more": "text"}}
    assert preview(values, PREVIEW)["t"] == {**values["t"], "broken": "<memoryview: not shown: ValueError>"}


def test_what_a_node_gave_is_kept_as_it_was_then():
    for _ in range(2):  # once its keys are known, too
        gave = {"y": 1}
        told = Condenser(PREVIEW)(NodeRan("r", "g/n", None, 3, (), 1, 2, {}, gave, 1))
        gave["y"] = 2
        assert told.outputs == {"y": 1}


def test_a_large_table_of_numbers_has_a_bound():
    table = [[[[number] * 20] * 20] * 20 for number in range(20)]
    assert len(str(shown(table))) < 3 * PREVIEW.total
