"""Conditions as text: what is accepted means what it means in Python, and what is refused says why."""

from __future__ import annotations

import re
import sys
import warnings

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hush.core._expr._condition import Condition, parse_condition
from hush.core._expr._condition_lexer import ConditionError

VALUES = {"a": 3, "b": 0, "s": "abc", "xs": [1, 2, 3], "d": {"k": {"n": 5}, "none": None}, "none": None, "größe": 7}


def holds(text, **values):
    condition = parse_condition(text)
    given = {**VALUES, **values}
    return condition.holds(*(given[name] for name in condition.names))


class Untouchable:
    """Raises whatever is done with it: shows what was not read."""

    def __bool__(self):
        raise AssertionError

    def __eq__(self, other):
        raise AssertionError

    __hash__ = None


# --- accepted ----------------------------------------------------------------------------------------------------

ACCEPTED = {
    # literals
    "1": 1,
    "0x_ff": 255,
    "0b11": 3,
    "1_000": 1000,
    "00": 0,
    "1.": 1.0,
    ".5": 0.5,
    "012.5": 12.5,
    "1e3": 1000.0,
    "1E-2": 0.01,
    "'a'": "a",
    '"it\'s"': "it's",
    r"'\n\t\\\'\x41\u00e9\U0001F600\N{EM DASH}\101\0'": "\n\t\\'Aé😀—A\0",
    r"r'\d'": r"\d",
    "u'ä'": "ä",
    "True": True,
    "None": None,
    "[]": [],
    "[1, a,]": [1, 3],
    "()": (),
    "(a,)": (3,),
    "(1, a)": (1, 3),
    "{}": {},
    "{'x': a, 'y': {'z': 1}}": {"x": 3, "y": {"z": 1}},
    "{a, 1,}": {3, 1},
    # names
    "größe": 7,
    "gro\u0308ße": 7,  # written with a combining accent, as some systems do
    # comparison
    "a >= 3": True,
    "a == 3 != b": True,
    "1 < a < 2": False,
    "a < b < missing": False,
    "none is None": True,
    "a is not None": True,
    "a is (not None)": False,
    "a in [1, 3]": True,
    "a not in {1, 3}": False,
    "'k' in d": True,
    "'b' in s": True,
    "1 in xs in [[1, 2, 3]]": True,
    # and, or, not
    "a and b": 0,
    "b or s": "abc",
    "b or none or 0": 0,
    "a and s and xs": [1, 2, 3],
    "not a == 3": False,
    "not not a": True,
    "not b and a": 3,
    "b and missing or s": "abc",
    "a or b and missing": 3,
    # arithmetic
    "a + 2 * 3": 9,
    "(a + 2) * 3": 15,
    "10 - a - 2": 5,
    "7 // 2 % 2 / 4": 0.25,
    "-a + +1": -2,
    "--1": 1,
    "-1 - -1": 0,
    "-True": -1,
    "'%s!' % s": "abc!",
    "s * 2": "abcabc",
    # indexing
    "xs[0]": 1,
    "xs[-1]": 3,
    "d['k'][\"n\"] > 4": True,
    "d [ 'k' ] [ 'n' ]": 5,
    "xs[1:]": [2, 3],
    "xs[:-1]": [1, 2],
    "xs[::-1]": [3, 2, 1],
    "xs[b:a:2]": [1, 3],
    "xs[:]": [1, 2, 3],
    "s[1:2] == 'b'": True,
    "{(1, 2): 'x'}[1, 2]": "x",
    "{(1,): 'x'}[1,]": "x",
    "[1, 2][0]": 1,
    # len
    "len(xs)": 3,
    "len (xs[1:]) + 1": 3,
    "-len(s)": -3,
    # layout
    "  a\n  > 1\tand b == 0  ": True,
}


@pytest.mark.parametrize("text", ACCEPTED)
def test_a_text_of_the_grammar_means_what_it_means_in_python(text):
    got = holds(text, missing=Untouchable())
    assert got == ACCEPTED[text]
    assert type(got) is type(ACCEPTED[text])


def test_names_are_listed_in_the_order_in_which_they_appear_each_once():
    condition = parse_condition("b > a and len(c[b:d]) in [a, e] and not True")
    assert condition.names == ("b", "a", "c", "d", "e")
    assert isinstance(condition, Condition)


def test_the_text_is_kept_as_written():
    assert parse_condition("  a >1 ").text == "  a >1 "


def test_words_that_are_keywords_elsewhere_only_are_names():
    assert parse_condition("match == case and type != _").names == ("match", "case", "type", "_")
    assert parse_condition("नमस्ते == 名前 and inner in notes").names == ("नमस्ते", "名前", "inner", "notes")


def test_an_index_is_handed_over_as_python_hands_it_over():
    class Shown:
        def __getitem__(self, key):
            return key

    assert holds("x[1:2, a, ::3]", x=Shown()) == (slice(1, 2), 3, slice(None, None, 3))
    assert holds("x[a:]", x=Shown()) == slice(3, None)


def test_a_comparison_gives_what_the_operands_say_and_stops_at_what_is_false():
    class Odd:
        def __lt__(self, other):
            return []

    assert holds("x < 1", x=Odd()) == []
    assert holds("x < 1 < y", x=Odd(), y=Untouchable()) == []


@pytest.mark.parametrize(
    ("text", "error"),
    {
        "a + s": TypeError,
        "a < s": TypeError,
        "d['q']": KeyError,
        "xs[9]": IndexError,
        "a / b": ZeroDivisionError,
        "1 // 0": ZeroDivisionError,
        "len(5)": TypeError,
        "none['k']": TypeError,
        "-'a'": TypeError,
        "a in 3": TypeError,
        "{[1]: 2}": TypeError,
        "{1, [1]}": TypeError,
        "xs in {1}": TypeError,
    }.items(),
)
def test_what_evaluation_raises_is_raised_unchanged_and_not_while_reading(text, error):
    parse_condition(text)
    with pytest.raises(error) as caught:
        holds(text)
    assert type(caught.value) is error
    assert not hasattr(caught.value, "__notes__")


def test_reading_a_condition_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert holds("a is 3") is True
        with pytest.raises(ConditionError):
            parse_condition(r"a == '\d'")


# --- refused -----------------------------------------------------------------------------------------------------

REFUSED = [
    ("", "empty", "score >= 90"),
    (" \n", "empty", "score >= 90"),
    ("a = 1", "'=' is not part of conditions, at column 3", "=="),
    ("(a := 1)", "':=' is not part", "=="),
    ("a += 1", "'+=' is not part", "=="),
    ("a === 1", "'===' is not part", "=="),
    ("a !== 1", "'!==' is not part", "!="),
    ("a <> 1", "'<>' is not part", "!="),
    ("a ≥ 1", "'≥' is not part", ">="),
    ("a && b", "'&&' is not part of conditions, at column 3", "`and`"),
    ("a & b", "'&' is not part", "`and`"),
    ("a || b", "'||' is not part", "`or`"),
    ("a | b", "'|' is not part", "`or`"),
    ("!a", "'!' is not part of conditions, at column 1", "`not`"),
    ("~a", "'~' is not part", "`not`"),
    ("a AND b", "an operator is missing before 'AND'", "`and`"),
    ("a ** 2", "'**' is not part", "Compute it in a node"),
    ("a << 2", "'<<' is not part", "Compute it in a node"),
    ("a ^ 2", "'^' is not part", "Compute it in a node"),
    ("a @ b", "'@' is not part", "Compute it in a node"),
    ("a.b", "the attribute .b is not part of conditions, at column 2", '["b"]'),
    ("a.b > 1 and c", "the attribute .b", "references"),
    ("s . strip () == ''", "the method .strip is not part", 'if_(node["k"].strip()'),
    ("abs(a)", "a call is not part of conditions, but for len(x), at column 4", "Compute it in a node"),
    ("d['f']()", "a call is not part", "Compute it in a node"),
    ("len", "`len` is a function of one argument", "len(x)"),
    ("len > 3", "`len` is a function of one argument", "len(x)"),
    ("len()", "`len` is a function of one argument", "len(x)"),
    ("len(a, b)", "`len` is a function of one argument", "len(x)"),
    ("len(*a)", "a value is missing before '*'", "a name"),
    ("lambda: a", "'lambda' is not part", "Compute it in a node"),
    ("[x for x in xs]", "'for' is not part of conditions, at column 4", "Compute it in a node"),
    ("1 if a else 2", "'if' is not part", "a condition of its own"),
    ("a ? 1 : 2", "'?' is not part", "a condition of its own"),
    ("await a", "'await' is not part", "Compute it in a node"),
    ("import os", "'import' is not part", "Compute it in a node"),
    ("a; b", "';' is not part", "one expression"),
    ("a # b", "'#' is not part", "one expression"),
    ("a > 1\nb > 2", "an operator is missing before 'b', at line 2, column 1", "such as =="),
    ("f'{a}'", "a string with 'f' before it", "plain string"),
    ("b'a'", "a string with 'b' before it", "plain string"),
    ("'a' 'b'", "an operator is missing before", "such as =="),
    ("'a", "a string is not closed, at column 1", "Close it with '"),
    ("'a\nb'", "a string is not closed", "Close it with '"),
    ("a == “b”", "'“' is not part", "strings in ' or"),
    (r"'\d'", "a backslash escapes nothing", r"\\"),
    (r"'\400'", "a backslash escapes nothing", r"\\"),
    (r"'\N{NO SUCH THING}'", "an escape names no character", "the character itself"),
    (r"'\N{ÿ}'", "an escape names no character", "the character itself"),
    (r"'\U00110000'", "an escape names no character", "the character itself"),
    ("012", "'012' is no number", "12, 0.5 or 1e6"),
    ("1__0", "'1__0' is no number", "12, 0.5"),
    ("2j", "'2j' is no number", "12, 0.5"),
    ("1or 2", "'1or' is no number", "12, 0.5"),
    ("0xg", "'0xg' is no number", "12, 0.5"),
    ("1e", "'1e' is no number", "12, 0.5"),
    ("9" * 5000, "is no number", "12, 0.5"),
    ("a >", "a value is missing at the end, at column 4", "a name"),
    ("> a", "a value is missing before '>'", "a name"),
    ("a > > b", "a value is missing before '>'", "a name"),
    ("a b", "an operator is missing before 'b', at column 3", "such as =="),
    ("a not b", "`not` stands where an operator should", "not in"),
    ("a == not b", "`not` needs parentheses", "(not ...)"),
    ("- not b", "`not` needs parentheses", "(not ...)"),
    ("(a", "'(' is not closed, at column 1", "Write ')'"),
    ("xs[0", "'[' is not closed, at column 3", "Write ']'"),
    ("(a]", "an operator is missing before ']'", "such as =="),
    ("a)", "')' has no opening bracket", "Delete it"),
    ("a, b", "a comma outside of brackets", "parentheses"),
    ("(,)", "a value is missing before ','", "a name"),
    ("[a,,b]", "a value is missing before ','", "a name"),
    ("xs[]", "a value is missing before ']'", "a name"),
    ("xs[::1:]", "an operator is missing before ':'", "such as =="),
    ("{'a': 1, 2}", "a value has no key", "a dict or a set"),
    ("{**d}", "'**' is not part", "Compute it in a node"),
    ("[*xs]", "a value is missing before '*'", "a name"),
    ("...", "part of conditions", "Compute"),
    ("a\0", r"'\x00' is not part", "Compute"),
    ("a\xa0> 1", r"'\xa0' is not part", "space"),
    ("1" + " + 1" * 5000, "20001 characters", "Compute it in a node"),
]


@pytest.mark.parametrize(("text", "message", "mend"), REFUSED, ids=[row[0][:30] for row in REFUSED])
def test_what_is_not_of_the_grammar_is_refused_with_a_place_and_a_mend(text, message, mend):
    with pytest.raises(ConditionError) as caught:
        parse_condition(text)
    assert message in str(caught.value)
    assert mend in caught.value.mend
    assert len(str(caught.value)) < 200


def test_the_place_in_a_long_text_is_shown_with_what_is_around_it():
    text = f"{'a > 1 and ' * 20} b && c {'and a > 1' * 20}"
    with pytest.raises(
        ConditionError, match=re.escape(f"at column {text.index('&&') + 1} of the condition '…")
    ) as caught:
        parse_condition(text)
    assert " b && c and a" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 4_000 + "a" + ")" * 4_000,
        "not " * 2_000 + "a",
        "-" * 9_000 + "a",
        "[" * 9_000,
        "a[" * 4_000,
        "len(" * 2_000,
        "{1:" * 3_000,
        "a and (b or " * 500,
        "(" * 10_000 + "a" + ")" * 10_000,
        "not " * 10_000 + "a",
    ],
    ids=lambda text: text[:8],
)
def test_deep_nesting_is_refused_whatever_the_depth(text):
    with pytest.raises(ConditionError, match="more than"):
        parse_condition(text)


def test_the_deepest_nesting_that_is_taken_leaves_most_of_the_stack():
    """Conditions are read and evaluated from inside frameworks that are deep themselves."""
    text = "b or a and 1 == 1 + 1 * (" * 30 + "a" + ")" * 30
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(_stack()) + 500)
    try:
        condition = parse_condition(text)
        condition.holds(0, 1)
    finally:
        sys.setrecursionlimit(limit)


def _stack():
    frame, frames = sys._getframe(), []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


@pytest.mark.parametrize(
    "text", ["a" + " + a" * 2_400, "a" + " and a" * 1_600, "a" + " <= a" * 1_900, "x" + "[0]" * 3_000]
)
def test_a_long_chain_is_no_nesting(text):
    loop = []
    loop.append(loop)
    assert holds(text, a=1, x=loop)


# --- laws --------------------------------------------------------------------------------------------------------

ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "s",
        "xs",
        "d",
        "none",
        "0",
        "1",
        "-1",
        "2.5",
        "'abc'",
        "'k'",
        "True",
        "None",
        "[]",
        "()",
        "{}",
        "[1, 2]",
    ]
)
OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "in", "not in", "+", "-", "*", "/", "//", "%", "and", "or"]
WORDS = [
    *OPERATORS,
    *["is", "not", "(", ")", "[", "]", "{", "}", ",", ":", "len", "len(", ".", "=", "!", "&&", "**", "if", "\\"],
]


def _bigger(inner):
    def joined(*parts):
        return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map("".join)

    operators = st.sampled_from([f" {operator} " for operator in OPERATORS])
    return st.one_of(
        joined(inner, operators, inner),
        joined(inner, operators, inner, operators, inner),
        joined("(", inner, ")"),
        joined("((", inner, ") is None)"),  # which other literals are one object is not Python's law
        joined("((", inner, ") is not True)"),
        joined("not ", inner),
        joined("-", inner),
        joined("len(", inner, ")"),
        joined("(", inner, ")[", inner, "]"),
        joined(inner, "[", inner, ":", inner, "]"),
        joined("xs[", inner, ":", inner, ":", inner, "]"),
        joined("[", inner, ", ", inner, "]"),
        joined("(", inner, ",)"),
        joined("{", inner, ", ", inner, "}"),
        joined("{", inner, ": ", inner, ", ", inner, ": ", inner, "}"),
    )


TEXTS = st.recursive(ATOMS, _bigger, max_leaves=12)
MADE_OF_WORDS = st.lists(st.one_of(ATOMS, st.sampled_from(WORDS)), min_size=1, max_size=8).map(" ".join)
ANYTHING = st.one_of(st.text(), st.lists(st.one_of(ATOMS, st.sampled_from(WORDS), st.text(max_size=3))).map(" ".join))
steady = settings(deadline=None, derandomize=True, database=None)
many = settings(deadline=None, database=None, print_blob=True, max_examples=10_000)


def outcome(make):
    """The value, as it prints (so that NaN equals itself and 1 is not True), or the kind of exception."""
    try:
        return repr(make())
    except Exception as error:  # any kind: it is what is compared
        return type(error)


def agrees_with_python(text):
    """Python's own `eval` is the oracle; what it cannot read, this must refuse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        expected = outcome(lambda: eval(text, {"__builtins__": {"len": len}}, dict(VALUES)))
    got = outcome(lambda: holds(text))
    assert got == (ConditionError if expected is SyntaxError else expected)


def is_read_or_refused(text):
    try:
        read = parse_condition(text).text
    except ConditionError as error:
        read = text if error.mend else None
    assert read == text


def is_taken_by_python_if_taken(text):
    try:
        parse_condition(text)
    except ConditionError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        compile(text, "<condition>", "eval")


@settings(steady, max_examples=500)
@given(TEXTS)
@example("a == not b")
@example("{[], 1 / 0}")
@example("{a: b, []: 1 / 0}")
def test_what_is_read_agrees_with_python(text):
    agrees_with_python(text)


@settings(steady, max_examples=500)
@given(ANYTHING)
@example("\ud800")
@example("'\ud800'")
@example("a.")
def test_any_text_is_read_or_refused(text):
    is_read_or_refused(text)


@settings(steady, max_examples=500)
@given(MADE_OF_WORDS)
def test_what_is_taken_at_all_python_takes_too(text):
    is_taken_by_python_if_taken(text)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("law", "texts"),
    [(agrees_with_python, TEXTS), (is_read_or_refused, ANYTHING), (is_taken_by_python_if_taken, MADE_OF_WORDS)],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_the_same_of_ten_thousand_texts(law, texts):
    many(given(texts)(law))()
