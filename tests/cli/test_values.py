"""What a graph gave, as JSON can hold it; and what a terminal may be given."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import pathlib
import unicodedata
import uuid
from collections import OrderedDict, deque, namedtuple
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel, SecretStr

from hush.cli._safe import safe, safe_json, shortened
from hush.cli._values import Unheld, plain


class Model(BaseModel):
    name: str
    at: datetime.date
    key: SecretStr = SecretStr("hunter2-hunter2")


@dataclass
class Point:
    x: float
    inner: Any = None


class Colour(enum.StrEnum):
    RED = "red"


class Array:
    def __init__(self, rows):
        self.rows = rows

    def tolist(self):
        return self.rows


Pair = namedtuple("Pair", "left right")
HUGE = 1 << 20_000  # 6,021 digits: Python writes 4,300
SAME = pathlib.Path("a") / "b"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": (1, [None, True])}, {"a": [1, [None, True]]}),
        (Model(name="x", at=datetime.date(2026, 1, 2)), {"name": "x", "at": "2026-01-02", "key": "**********"}),
        (RootModel[list[int]]([1]), [1]),
        (Point(1.5, Point(2.0)), {"x": 1.5, "inner": {"x": 2.0, "inner": None}}),
        (Pair(1, "r"), {"left": 1, "right": "r"}),
        (Colour.RED, "red"),
        (enum.IntEnum("E", "A").A, 1),
        (Array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (deque([1]), [1]),
        (range(3), [0, 1, 2]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        ({1: "a", 2.5: "b", None: "c"}, {"1": "a", "2.5": "b", "null": "c"}),
        ({False: "d", (1, 2): "e"}, {"false": "d", "[1, 2]": "e"}),
        (datetime.timedelta(seconds=90), 90.0),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (SAME, str(SAME)),
        (b"text", "text"),
        (ValueError("sk-abcdefghijk"), {"type": "ValueError", "message": "[secret]"}),
    ],
)
def test_what_has_a_plain_form_gets_it_without_a_word(value, expected):
    unheld = Unheld()
    assert plain(value, unheld) == expected
    assert unheld.count == 0


class Broken:
    def __repr__(self):
        raise RuntimeError


class Wrong:
    @property
    def tolist(self):
        raise RuntimeError

    def __repr__(self):
        return "Bearer abcdef123456"


class Items(dict[str, int]):
    def items(self):
        raise RuntimeError


class Lines(list[int]):
    def __iter__(self):
        raise RuntimeError


class Named(tuple[int, ...]):
    __slots__ = ()

    def _asdict(self):
        raise RuntimeError


class Lacking(Mapping[str, int]):
    def __getitem__(self, key):
        raise RuntimeError

    def __iter__(self):
        yield "a"

    def __len__(self):
        return 1

    def __repr__(self):
        return "Lacking()"


class Endless:
    def tolist(self):
        return Endless()

    def __repr__(self):
        return "Endless()"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (b"\xff", "b'\\xff'"),
        (Broken(), "<Broken, whose repr raised RuntimeError>"),
        (Wrong(), "Bearer [secret]"),
        (Items(a=1), "{'a': 1}"),
        (Lines([1]), "[1]"),
        (Named([1]), "(1,)"),
        (Lacking(), "Lacking()"),
    ],
)
def test_what_has_none_is_told(value, expected):
    unheld = Unheld()
    assert plain([value], unheld) == [expected]
    assert unheld.count == 1
    assert str(unheld).startswith("JSON cannot hold [0]: ")


@pytest.mark.parametrize(
    "make", [lambda huge: huge, lambda huge: -huge, enum.IntEnum("E", {"A": 1 << 20_000}).__call__]
)
def test_whole_numbers_that_python_does_not_write_are_told(make):
    unheld = Unheld()
    value = make(HUGE)
    assert plain([value, {value: 1}], unheld) == [hex(value), {hex(value): 1}]
    assert str(unheld).startswith("JSON cannot hold [0]: a whole number of too many digits, which stands as text")
    assert unheld.count == 2


def test_what_does_not_even_tell_its_class_is_told():
    class Classless:
        @property
        def __class__(self):
            raise RuntimeError

        def __repr__(self):
            return "Classless()"

    unheld = Unheld()
    assert plain([Classless()], unheld) == ["Classless()"]
    assert unheld.count == 1


def test_what_gives_another_of_its_kind_each_time_ends():
    unheld = Unheld()
    assert plain([Endless()], unheld) == ["Endless()"]


def test_the_place_of_what_is_told_may_itself_be_odd():
    unheld = Unheld()
    assert plain({HUGE: float("nan"), Broken(): 1}, unheld)
    assert "<int, whose repr raised ValueError>" in str(unheld)


def test_what_holds_itself_ends():
    loop: list[Any] = []
    loop.append(loop)
    unheld = Unheld()
    json.dumps(plain({"x": loop}, unheld))
    assert unheld.count == 1


def test_many_are_counted_and_a_few_named():
    unheld = Unheld()
    plain([Broken()] * 10, unheld)
    assert str(unheld).endswith("; and 7 more")


def test_two_keys_of_one_text_both_stay():
    unheld = Unheld()
    assert plain({1: "a", "1": "b"}, unheld) == {"1": "a", "1 (str)": "b"}
    assert unheld.count == 1


THINGS = st.recursive(
    st.none() | st.integers() | st.builds(lambda: HUGE)
    | st.floats() | st.text() | st.binary() | st.dates() | st.uuids() | st.builds(Broken)
    | st.builds(Point, st.floats()) | st.decimals() | st.builds(ValueError, st.text()),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.builds(Point, st.just(0.0), inner)
    | st.dictionaries(st.none() | st.booleans() | st.integers() | st.text() | st.tuples(st.integers()), inner),
    max_leaves=12,
)  # fmt: skip


@given(THINGS)
def test_whatever_it_is_json_can_hold_what_is_made_of_it(value):
    json.dumps(plain(value, Unheld()), allow_nan=False)


# --- terminals --------------------------------------------------------------------------------------------------------
HOSTILE = st.text(st.characters() | st.sampled_from("\x1b\x9b\x00\r\n\t\x7f\u202e\u2028\u200b\ufeff\ud800\U000e0041"))


@given(HOSTILE)
def test_nothing_that_steers_a_terminal_is_left(text):
    shown = safe(text)
    shown.encode("utf-8")
    assert all(unicodedata.category(one) not in ("Cc", "Cs", "Zl", "Zp") for one in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff")
    assert safe(shown) == shown
    assert set(safe(text, lines=True)) - set(shown) <= {"\n", "\t"}
    assert len(shortened(text, 10)) <= 10


@given(st.dictionaries(HOSTILE, HOSTILE))
def test_a_document_of_json_means_the_same(value):
    text = safe_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(text) == json.loads(json.dumps(value))
    assert "\x9b" not in text
    assert "\u202e" not in text
    text.encode("utf-8")


def test_words_of_any_script_stay():
    assert safe("Đơn hàng số 12 – 订单 ✓ 👩‍💻") == "Đơn hàng số 12 – 订单 ✓ 👩‍💻"
