"""Variables in settings: what they give, what is an escape, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core._resources._variables import MOST_LEVELS, Variable, VariableFault, expanded, names_in, parts_of


def fill(text: str, **environ: str) -> str:
    unset: list[str] = []
    found = expanded(parts_of(text), environ, unset)
    assert not unset
    return found


def unset_in(text: str, **environ: str) -> list[str]:
    unset: list[str] = []
    expanded(parts_of(text), environ, unset)
    return unset


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "1"),
        ("x${A}y${B}z", "x1y2z"),
        ("${A}${A}", "11"),
        ("${A:9}", "1"),
        ("${N:9}", "9"),
        ("${N:}", ""),
        ("${EMPTY:9}", ""),
        ("${N:http://host:80/${A}}", "http://host:80/1"),
        ("${N:${M:${A}}}", "1"),
        ("${N:${M:${L:deep}}}", "deep"),
        ("${N:a${M:b}c${A}d}", "abc1d"),
        ('${N:{"k": {}}}', '{"k": {}}'),
        ("${N:-5}", "-5"),
        ("${N:-.5}", "-.5"),
        ("${N: spaced }", " spaced "),
        ("${N:$}", "$"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$$$${A}", "$$${A}"),
        ("${N:$${A}}", "${A}"),
        ("$A $ {A} } {", "$A $ {A} } {"),
        ("cost: $5", "cost: $5"),
        ("${_a1}", "under"),
    ],
)
def test_what_a_text_gives(text, value):
    assert fill(text, A="1", B="2", EMPTY="", _a1="under") == value


def test_what_a_variable_gives_is_never_looked_at_again():
    assert fill("${A} ${N:${A}}", A="${B} $${ }") == "${B} $${ } ${B} $${ }"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("${A}${B}${A}", ["A", "B"]),
        ("${A:${B}}", ["B"]),
        ("${SET:${B}}", []),  # a default that is not needed need not be there
        ("${A:${B:x}}", []),
        ("$${A}", []),
    ],
)
def test_every_variable_that_is_not_set_is_named_once(text, names):
    assert unset_in(text, SET="1") == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${", "without a name"),
        ("${}", "without a name behind it, at its character 1"),
        ("ab ${1A}", "at its character 4"),
        ("${ A}", "without a name"),
        ("${${A}}", "without a name"),
        ("${A", "neither : nor }"),
        ("x${A B}", "neither : nor }, at its character 2"),
        ("${A.b}", "neither : nor }"),
        ("${A_${B}}", "neither : nor }"),
        ("${A:", "never closed"),
        ("${A:x", "never closed"),
        ("${A:{x}", "never closed"),
        ("${A:${B:x}", "never closed"),
        ("${A:-x}", "as a shell does"),
        ("${A:-}", "as a shell does"),
        ("${A:=x}", "as a shell does"),
        ("${A:?x}", "as a shell does"),
        ("${A:" * (MOST_LEVELS + 1), f"deeper than {MOST_LEVELS} levels"),
        ("${A:" * 50_000, f"deeper than {MOST_LEVELS} levels"),
    ],
)
def test_what_is_no_variable_is_refused(text, message):
    with pytest.raises(VariableFault, match=re.escape(message)):
        parts_of(text)


# --- laws -------------------------------------------------------------------------------------------------------------
NAMES = st.sampled_from(["A", "B", "_c", "LONG_NAME9"])
ENVIRONS = st.dictionaries(NAMES, st.text(st.sampled_from("ab${}:"), max_size=6))
TEXTS = st.text(st.sampled_from("ab$:{}- "), max_size=12)


def escape(text: str) -> str:
    return text.replace("${", "$${")


@given(TEXTS, ENVIRONS)
def test_a_text_whose_signs_are_escaped_is_itself(text, environ):
    assert fill(escape(text), **environ) == text


@given(st.text(max_size=20).filter(lambda text: "${" not in text), ENVIRONS)
def test_a_text_without_the_signs_is_itself(text, environ):
    assert fill(text, **environ) == text


PLAIN = st.text(st.sampled_from("ab:/ é"), min_size=1, max_size=4)
PARTS = st.recursive(
    st.lists(PLAIN, max_size=2).map(tuple),
    lambda inner: st.lists(PLAIN | st.builds(Variable, NAMES, st.none() | inner), max_size=3).map(tuple),
    max_leaves=6,
)


def render(parts):
    return "".join(
        part
        if isinstance(part, str)
        else f"${{{part.name}}}"
        if part.default is None
        else f"${{{part.name}:{render(part.default)}}}"
        for part in parts
    )


def value(parts, environ, unset):
    """The meaning of a text, said once more."""
    found = ""
    for part in parts:
        if isinstance(part, str):
            found += part
        elif part.name in environ:
            found += environ[part.name]
        elif part.default is None:
            unset.add(part.name)
        else:
            found += value(part.default, environ, unset)
    return found


@given(PARTS, ENVIRONS)
def test_whatever_is_written_gives_what_it_means(parts, environ):
    missing: set[str] = set()
    meant = value(parts, environ, missing)
    text = render(parts)
    unset: list[str] = []
    assert expanded(parts_of(text), environ, unset) == meant
    assert set(unset) == missing
    assert len(unset) == len(missing)
    assert set(names_in(parts_of(text))) == set(re.findall(r"\$\{(\w+)", text))


@given(st.text(st.sampled_from("AB$:{}-"), max_size=20), ENVIRONS)
def test_no_text_raises_anything_else(text, environ):
    try:
        expanded(parts_of(text), environ, [])
    except VariableFault:
        pass
