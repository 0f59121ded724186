"""Secrets that are sought by value: none is missed, however many there are, and a text costs the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hush.core._resources import _known
from hush.core._resources._known import Known

letters = st.text(alphabet="ab", min_size=4, max_size=14)


def found(known, text):
    return {secret for secret in known.plain if secret in text} | known.long_ones_in(text)


@given(st.lists(letters, max_size=40), st.text(alphabet="abc", max_size=60))
def test_none_is_missed_and_nothing_else_is_found(secrets, text):
    known = Known()
    for secret in secrets:
        known.add(secret)
    assert len(known) == len(set(secrets))
    assert found(known, text) == {secret for secret in secrets if secret in text}
    assert found(known.copy(), text) == found(known, text)


@given(st.lists(letters, unique=True, min_size=12, max_size=40), st.integers(0, 20))
def test_one_is_found_wherever_it_stands(secrets, before):
    known = Known()
    for secret in secrets:
        known.add(secret)
    for secret in secrets:
        assert secret in found(known, f"{'x' * before}{secret}{'y' * 3}")


def test_of_very_many_the_first_and_the_last_are_known(monkeypatch):
    monkeypatch.setattr(_known, "_FIRST", 20)
    monkeypatch.setattr(_known, "_MOST", 50)
    known = Known()
    secrets = [f"secret number {number}" for number in range(80)] + [f"s{number:04}" for number in range(10)]
    for secret in secrets:
        known.add(secret)
    assert len(known) == 50
    assert [secret for secret in secrets if secret in found(known, secret)] == [*secrets[:20], *secrets[-30:]]
    assert sum(map(len, known.by_block.values())) <= 5 * 50


def test_of_a_thousand_hardly_any_is_sought():
    class Counting(str):
        __slots__ = ()
        sought = 0

        def __contains__(self, other):
            type(self).sought += 1
            return str.__contains__(self, other)

    known = Known()
    for number in range(1_000):
        known.add(f"{number * 7919 % 100_003:08x}{number:08x}")
    text = Counting("a text like any other, in which no secret is. " * 40)
    assert not [secret for secret in known.plain if secret in text]
    assert not known.long_ones_in(text)
    assert Counting.sought < 20


def test_a_text_that_has_the_beginning_of_one_a_thousand_times_is_sought_through_once():
    class Text(str):
        __slots__ = ("times",)

        def __contains__(self, secret: str, /) -> bool:
            self.times = getattr(self, "times", 0) + 1
            return super().__contains__(secret)

    known = Known()
    for number in range(20):
        known.add(f"key number {number}")
    text = Text("key " * 5_000)
    assert not known.long_ones_in(text)
    assert text.times <= 20
