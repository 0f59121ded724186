"""The certain form of a value: equal values have one form, others another, and it can be made into the value again."""

from __future__ import annotations

import copy
import enum
import math
from collections import namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path, PurePosixPath
from uuid import UUID
from zoneinfo import ZoneInfo

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core._cache._values import UnknownType, pack, unpack
from hush.core._spec._certain import Former, Uncertain, bytes_of, form_named


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    LOW = 1


NAIVE = datetime.fromisoformat("2024-01-01")
Point = namedtuple("Point", "x y")


@dataclass
class Row:
    id: int
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pair:
    left: object
    right: object


class Answer(pydantic.BaseModel):
    text: str
    score: float = 0.5
    rows: list[Row] = []


class Open(pydantic.BaseModel, extra="allow"):
    name: str
    _hidden: int = 3


def key(**inputs):
    return bytes_of(form_named(Former(for_key=True), inputs))


def again(value, *, types=None):
    packed = pack({"value": value})
    return unpack(packed.data, packed.types if types is None else types)["value"]


def same(a, b):
    """Equal, of the same types all the way down, NaN included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(*pair) for one in zip(a.items(), b.items(), strict=True) for pair in zip(*one, strict=True)
        )
    if isinstance(a, (Row, Pair)):
        return all(same(getattr(a, name), getattr(b, name)) for name in type(a).__dataclass_fields__)
    if isinstance(a, (set, frozenset)):
        return len(a) == len(b) and {(type(x), x) for x in a} == {(type(x), x) for x in b}
    return a == b


ZONES = st.sampled_from([None, UTC, timezone(timedelta(hours=7)), timezone(timedelta(minutes=-90), "odd")])
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**1300, max_value=10**1302),
    st.floats(),
    st.text(st.characters(codec=None, exclude_categories=())),
    st.binary(max_size=8),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids(),
    st.dates(),
    st.timedeltas(),
    st.datetimes(timezones=ZONES),
    st.times(),
    st.complex_numbers(allow_nan=False),
    st.sampled_from([Color.RED, Color.BLUE, Level.LOW, Rights.READ | Rights.WRITE, Rights(0)]),
    st.sampled_from([Path("a/b"), PurePosixPath("/x"), range(3), ZoneInfo("Asia/Ho_Chi_Minh")]),
)
KEYS = st.one_of(st.text(), st.integers(), st.booleans(), st.sampled_from(["$int", "$dict", "$", "$tuple"]), st.dates())
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=3),
        st.frozensets(st.one_of(st.integers(), st.text()), max_size=3),
        st.sets(st.one_of(st.integers(), st.binary()), max_size=3),
        st.builds(Row, st.integers(), st.lists(st.text(), max_size=2)),
        st.builds(Pair, inner, inner),
        st.tuples(inner, inner).map(lambda pair: Point(*pair)),
    ),
    max_leaves=8,
)


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(VALUES)
def test_a_copy_has_the_key_of_what_it_was_copied_from(value):
    assert key(x=copy.deepcopy(value)) == key(x=value)


@given(VALUES, VALUES)
def test_values_have_one_key_exactly_if_they_are_the_same(a, b):
    """Wrong hits are worse than misses: `1`, `1.0` and `True` are equal for Python, and not the same."""
    if key(x=a) == key(x=b):
        assert same(a, b) or (isinstance(a, dict) and a == b) or sorted_alike(a, b)
    elif same(a, b):
        pytest.fail("the same values have different keys")


def sorted_alike(a, b):
    """Whether two values differ in the order of dicts alone."""
    return repr(undone(a)) == repr(undone(b))


def undone(value):
    if isinstance(value, dict):
        return sorted(((repr(k), undone(v)) for k, v in value.items()), key=lambda pair: pair[0])
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(undone, value)]
    if isinstance(value, (Row, Pair)):
        return [type(value).__name__, *(undone(getattr(value, name)) for name in type(value).__dataclass_fields__)]
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, value))
    return value


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0),
        (1, True),
        (0, False),
        (1, "1"),
        (None, "null"),
        ((1, 2), [1, 2]),
        ({1}, frozenset({1})),
        (b"a", "a"),
        (b"a", bytearray(b"a")),
        ({"$tuple": [1]}, (1,)),
        ({"a": None}, {}),
        ({1: "x"}, {"1": "x"}),
        (Color.RED, 1),
        (Level.LOW, 1),
        (Row(1), Pair(1, [])),
        (Row(1), {"id": 1, "tags": []}),
        (Point(1, 2), (1, 2)),
        (Decimal("1.0"), Decimal("1.00")),
        (date(2024, 1, 1), NAIVE),
        (NAIVE.replace(fold=1), NAIVE),
        (time(1), time(1, tzinfo=UTC)),
        (Answer(text="a"), Answer(text="a", score=0.6)),
        (Fraction(1, 2), 0.5),
        (Path("a"), "a"),
        (0.0, -0.0),
        (UUID(int=1), 1),
    ],
    ids=repr,
)
def test_what_is_not_the_same_has_another_key(a, b):
    assert key(x=a) != key(x=b)
    assert key(x=[a]) != key(x=[b])


def test_the_order_of_dicts_and_sets_makes_no_difference():
    assert key(x={"a": 1, "b": {"c": 2, 3: 4}}) == key(x={"b": {3: 4, "c": 2}, "a": 1})
    names = [f"n{number}" for number in range(50)]
    assert key(x=set(names)) == key(x={*names[::-1]})
    assert key(a=1, b=2) == key(b=2, a=1)
    assert key(x=float("nan")) == key(x=-float("nan"))


def test_an_input_counts_by_its_name():
    assert key(a=1, b=2) != key(a=2, b=1)
    assert key(a=1) != key(b=1)


def test_an_object_counts_with_what_it_has_besides_its_fields_but_not_with_what_it_worked_out():
    @dataclass
    class Wide:
        x: int

        @cached_property
        def double(self):
            return self.x * 2

    plain, used, more = Wide(1), Wide(1), Wide(1)
    assert used.double == 2
    more.extra = 5
    assert key(x=plain) == key(x=used) != key(x=more)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (object(), "x"),
        ([1, {"client": object()}], "x[1]['client']"),
        (Row(1, [object()]), "x.tags[0]"),
        (lambda: 1, "x"),
        ((n for n in ()), "x"),
        (type("Name", (str,), {})("a"), "x"),
        (pydantic.SecretStr("s"), "x"),
        ({object(): 1}, "x[...]"),
    ],
    ids=[
        "object",
        "in a list",
        "in a field",
        "lambda",
        "generator",
        "kind of text",
        "secret",
        "as a key",
    ],  # no addresses
)
def test_what_has_no_certain_form_is_named_with_the_way_to_it(value, at):
    with pytest.raises(Uncertain) as caught:
        key(x=value)
    assert caught.value.at == at
    assert caught.value.what


def test_what_holds_itself_is_told():
    loop = []
    loop.append(loop)
    with pytest.raises(Uncertain, match="holds itself") as caught:
        key(y=loop)
    assert caught.value.at == "y"


# ── Values ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(VALUES)
def test_a_value_comes_back_the_same_and_as_a_copy(value):
    found = again(value)
    assert same(found, value)
    if isinstance(value, (list, dict, set)):
        assert found is not value


@pytest.mark.parametrize(
    "value",
    [
        Answer(text="a", rows=[Row(1, ["x"])]),
        Answer(text="a").model_copy(update={"score": 1.0}),
        Open(name="a", more=(1, 2)),
        Rights.READ | Rights.WRITE,
        datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    ],
    ids=repr,
)
def test_models_and_the_like_come_back(value):
    found = again(value)
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, pydantic.BaseModel):
        assert found.model_fields_set == value.model_fields_set
        assert found.model_dump() == value.model_dump()


def test_a_field_is_what_it_was_and_not_what_a_constructor_would_make_of_it():
    @dataclass
    class Doubled:
        x: int

        def __post_init__(self):
            self.x *= 2

    assert again(Doubled(2)) == Doubled(2)


def test_dicts_keep_their_order():
    assert list(again({"b": 1, "a": 2})) == ["b", "a"]
    assert list(again({2: 1, 1: 2})) == [2, 1]


def test_a_type_is_made_only_if_it_is_listed():
    """Whoever can write the file names types as he likes: nothing is imported, nothing else is made."""
    with pytest.raises(UnknownType):
        again(Row(1), types={})
    for tree in (
        b'{"x": {"$data": ["subprocess:Popen", {"args": "true"}]}}',
        b'{"x": {"$enum": ["os:system", "a"]}}',
        b'{"x": {"$model": ["a:B", {}]}}',
    ):
        with pytest.raises(UnknownType):
            unpack(tree, {})


@pytest.mark.parametrize(
    "tree",
    [
        '{"x": {"$data": ["k", {"id": 1, "tags": [], "more": 2}]}}',
        '{"x": {"$data": ["k", {"id": 1}]}}',
        '{"x": {"$enum": ["k", "RED"]}}',
        '{"x": {"$named": ["k", {"x": 1}]}}',
        '{"x": {"$model": ["k", {"__dict__": {}, "__pydantic_extra__": null, "set": []}]}}',
    ],
)
def test_a_type_that_has_changed_since_is_not_known(tree):
    with pytest.raises(UnknownType):
        unpack(tree.encode(), {"k": Row})


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[1]", b"\xff", b'{"x": {"$nothing": 1}}', b'{"x": {"$tuple": 1}}', b'{"x": {"$int": "?"}}']
)
def test_damage_is_told(data):
    with pytest.raises(ValueError, match=r"."):
        unpack(data, {})


def test_an_object_with_more_than_its_fields_is_not_kept():
    row = Row(1)
    row.more = 1
    with pytest.raises(Uncertain, match="besides its fields: more") as caught:
        pack({"row": [row]})
    assert caught.value.at == "['row'][0]"
