"""``limit:name`` from settings to a ``Limit``: what is taken, and everything that is wrong with one, at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core import HushError, Problem, ResourceError, ResourceHub
from hush.core._spec._policies import Limit

FIELDS = (
    "concurrency",
    "per_second",
    "per_minute",
    "tokens_per_minute",
    "input_tokens_per_minute",
    "output_tokens_per_minute",
    "burst",
)


def given_by(limit: Limit) -> dict[str, object]:
    return {field: value for field in FIELDS if (value := getattr(limit, field)) is not None}


@pytest.fixture
def hub_of(tmp_path):
    """A hub of a file with this text."""

    def make(text: str) -> ResourceHub:
        file = tmp_path / "resources.yaml"
        file.write_text(text, encoding="utf-8")
        return ResourceHub(path=file)

    return make


def problems_of(hub: ResourceHub, name: str) -> list[Problem]:
    with pytest.raises(ResourceError) as raised:
        hub.limit(name)
    assert isinstance(raised.value, HushError)
    assert raised.value.__context__ is None  # pydantic's message has the values in it
    for one in raised.value.problems:
        assert str(one) in str(raised.value)
    assert hub.check() == list(raised.value.problems)
    return list(raised.value.problems)


# --- what is taken ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "bounds"),
    [
        ("concurrency: 10", {"concurrency": 10}),
        ("concurrency: auto", {"concurrency": "auto"}),
        ("concurrency: 'auto'", {"concurrency": "auto"}),
        ("concurrency: '10'", {"concurrency": 10}),
        ("concurrency: 10.0", {"concurrency": 10}),
        ("per_second: 0.5", {"per_second": 0.5}),
        ("per_second: .5", {"per_second": 0.5}),
        ("per_minute: '60'", {"per_minute": 60}),
        ("rpm: 60", {"per_minute": 60}),
        ("tpm: 100_000", {"tokens_per_minute": 100_000}),
        ("tokens_per_minute: 1e5", {"tokens_per_minute": 100_000}),
        ("input_tokens_per_minute: 5\n  output_tokens_per_minute: 6",
         {"input_tokens_per_minute": 5, "output_tokens_per_minute": 6}),
        ("rpm: ${RPM:60}", {"per_minute": 60}),
        ("rpm: ${SET}${SET}", {"per_minute": 77}),
        ("concurrency: ${AUTO}", {"concurrency": "auto"}),
        ("{concurrency: 10, per_second: 5, per_minute: 60, tokens_per_minute: 100000, burst: 10}",
         {"concurrency": 10, "per_second": 5, "per_minute": 60, "tokens_per_minute": 100_000, "burst": 10}),
    ],
)  # fmt: skip
def test_settings_become_a_limit(hub_of, monkeypatch, settings, bounds):
    monkeypatch.setenv("SET", "7")
    monkeypatch.setenv("AUTO", "auto")
    limit = hub_of(f"limit:crm:\n  {settings}\n").limit("crm")
    assert type(limit) is Limit
    assert given_by(limit) == bounds
    assert limit.name == "crm"


NUMBERS = st.integers(1, 10**9) | st.floats(1e-6, 1e9)


@given(
    st.dictionaries(st.sampled_from(FIELDS[1:-1]), NUMBERS, min_size=1),
    st.none() | st.just("auto") | st.integers(1, 10**6),
    st.none() | st.integers(1, 10**6),
    st.booleans(),
)
def test_every_right_limit_is_taken_as_it_is_in_code_whether_as_number_or_text(rates, concurrency, burst, as_text):
    settings = rates | ({"concurrency": concurrency} if concurrency else {})
    starts = [rates[each] for each in ("per_second", "per_minute") if each in rates]
    if burst and starts and all(rate == int(rate) for rate in starts):
        settings["burst"] = burst
    said = {field: str(value) if as_text else value for field, value in settings.items()}
    assert given_by(ResourceHub({"limit:x": said}).limit("x")) == settings


def test_a_limit_of_code_stays_the_object_it_is():
    mine = Limit(per_second=5)
    assert ResourceHub({"limit:crm": mine}).limit("crm") is mine


def test_settings_that_merge_others_are_taken(hub_of):
    hub = hub_of("limit:a: &a\n  rpm: 60\n  concurrency: 2\nlimit:b:\n  <<: *a\n  concurrency: 3\n")
    assert given_by(hub.limit("b")) == {"per_minute": 60, "concurrency": 3}


# --- what is wrong ----------------------------------------------------------------------------------------------------
COUNT = 'concurrency should be a whole number of 1 or more, or "auto"'
BOUNDS = ", ".join(FIELDS[:-1])


@pytest.mark.parametrize(
    ("settings", "line", "column", "message"),
    [
        ("per_second: fast", 2, 15, "per_second should be a valid number, found 'fast'"),
        ("per_second: 0", 2, 15, "per_second should be greater than 0, found 0"),
        ("per_second: -0.5", 2, 15, "per_second should be greater than 0, found -0.5"),
        ("per_second: .inf", 2, 15, "per_second should be a finite number, found inf"),
        ("per_second: .nan", 2, 15, "per_second should be a finite number, found nan"),
        ("per_second: 'nan'", 2, 15, "per_second should be a finite number, found 'nan'"),
        ("per_second:", 2, 14, "per_second should be a number, found nothing"),
        ("per_second: true", 2, 15, "per_second should be a number, found true"),
        ("per_second: {a: 1}", 2, 15, "per_second should be a valid number, found a mapping"),
        ("per_second: [1]", 2, 15, "per_second should be a valid number, found a list"),
        ("rpm: x", 2, 8, "rpm should be a valid number, found 'x'"),
        ("concurrency: 0", 2, 16, COUNT + ", found 0"),
        ("concurrency: 1.5", 2, 16, COUNT + ", found 1.5"),
        ("concurrency: Auto", 2, 16, COUNT + ", found 'Auto'"),
        ("concurrency: true", 2, 16, COUNT + ", found true"),
        ("concurrency: ${N:x}", 2, 16, COUNT + ", found what ${N} gives"),
        ("{rpm: 1, burst: 0}", 2, 19, "burst should be greater than or equal to 1, found 0"),
        ("rpm: ${GONE}", 2, 8, "rpm needs the variable GONE, which is not set and has no default"),
        ("rpm: ${GONE:${LOST}}", 2, 8, "rpm needs the variable LOST, which is not set and has no default"),
        ("rpm: ${GONE", 2, 8, "rpm has a ${ whose name goes on with neither : nor }, at its character 1"),
        ("rpm: ${GONE:-5x}", 2, 8, "rpm should be a valid number, found what ${GONE} gives"),
        ("concurency: 5", 2, 3, "concurency is no setting of a limit"),
        ("{rpm: 1, per_hour: 2}", 2, 12, "per_hour is no setting of a limit"),
        ("{rpm: 1, name: other}", 2, 12, "name is no setting of a limit"),
        ("{rpm: 1, per_minute: 2}", 2, 12, "per_minute and rpm are two names of one setting"),
        ("{}", 1, 1, f"it names no bound: write at least one of {BOUNDS}"),
        ("burst: 5", 1, 1, f"it names no bound: write at least one of {BOUNDS}"),
        ("", 1, 1, "a limit is a mapping of settings, found nothing"),
        ("10", 1, 1, "a limit is a mapping of settings, found 10"),
        ("ten", 1, 1, "a limit is a mapping of settings, found text"),
        ("[10]", 1, 1, "a limit is a mapping of settings, found a list"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_problem_at_its_place(hub_of, tmp_path, settings, line, column, message):
    [one] = problems_of(hub_of(f"limit:crm:\n  {settings}\n"), "crm")
    assert (one.line, one.column, one.message) == (line, column, message)
    assert one.path == "limit:crm"
    assert one.file == str(tmp_path / "resources.yaml")


@pytest.mark.parametrize(
    ("settings", "mend"),
    [
        ("concurency: 5", "Did you mean concurrency?"),
        ("rmp: 5", "Did you mean rpm?"),
        ("zzz: 5", f"There are: {', '.join([*FIELDS[1:-1], 'concurrency', 'burst'])}."),
        ("rpm: ${GONE}", "Set it, or write a default behind it: ${GONE:default}"),
        ("rpm: ${GONE:-x}", "The default stands right behind the colon: ${GONE:default}"),
        ("10", "Write them below it, such as: concurrency: 10"),
    ],
)
def test_the_mend_is_said(hub_of, settings, mend):
    [one] = problems_of(hub_of(f"limit:crm:\n  {settings}\n"), "crm")
    assert one.mend == mend


def test_everything_that_is_wrong_with_a_limit_is_told_at_once_in_order(hub_of):
    text = """\
limit:right: {rpm: 5}
limit:crm:
  burst: none
  concurency: 5
  per_second: ${GONE}${LOST}
  rpm: -1
  tokens_per_minute: ${GONE}
limit:other: {rpm: 0}
"""
    hub = hub_of(text)
    with pytest.raises(ResourceError, match=r"the resource limit:crm has 6 problems:\n  1\. limit:crm \("):
        hub.limit("crm")
    told = [(one.path, one.line, one.column, one.message.partition(",")[0]) for one in hub.check()]
    assert told == [
        ("limit:crm", 3, 10, "burst should be a valid integer"),
        ("limit:crm", 4, 3, "concurency is no setting of a limit"),
        ("limit:crm", 5, 15, "per_second needs the variable GONE"),
        ("limit:crm", 5, 15, "per_second needs the variable LOST"),
        ("limit:crm", 6, 8, "rpm should be greater than 0"),
        ("limit:crm", 7, 22, "tokens_per_minute needs the variable GONE"),
        ("limit:other", 8, 20, "rpm should be greater than 0"),
    ]
    assert given_by(hub.limit("right")) == {"per_minute": 5}


def test_a_variable_is_looked_up_when_the_limit_is_first_needed(hub_of, monkeypatch):
    hub = hub_of("limit:crm:\n  rpm: ${CRM_RPM}\nlimit:erp:\n  rpm: 5\n")
    assert hub.limit("erp").per_minute == 5  # what another needs is not its matter
    assert [one.message for one in problems_of(hub, "crm")] == [
        "rpm needs the variable CRM_RPM, which is not set and has no default"
    ]
    monkeypatch.setenv("CRM_RPM", "7")
    limit = hub.limit("crm")
    assert limit.per_minute == 7
    monkeypatch.setenv("CRM_RPM", "8")
    assert hub.limit("crm") is limit
    assert hub.check() == []
