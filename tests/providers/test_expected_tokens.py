"""What a request is expected to take: learned from replies, and enough when several are under way at once."""

from __future__ import annotations

import random

import pytest

from hush.providers._model import Usage
from hush.providers._resources._expected import Expected
from kit.token_play import played


def learned(*answers, sent=100, told=100):
    expected = Expected()
    for answer in answers:
        expected.learn(sent, Usage(input_tokens=told, output_tokens=answer))
    return expected


def test_max_tokens_says_it_where_it_is_given():
    assert Expected().tokens(100, 7) == {"input_tokens": 100, "output_tokens": 7}
    assert learned(500, 600).tokens(100, 7)["output_tokens"] == 7


def test_answers_of_one_length_are_expected_to_be_as_long():
    assert learned(*[300] * 60).tokens(100, None)["output_tokens"] == 300


def test_answers_that_differ_are_expected_to_be_as_long_as_most():
    draws = random.Random(1)
    answers = [draws.randint(0, 1000) for _ in range(400)]
    expected, enough = Expected(), 0
    for answer in answers:
        enough += expected.tokens(100, None)["output_tokens"] >= answer
        expected.learn(100, Usage(input_tokens=100, output_tokens=answer))
    assert 0.6 <= enough / len(answers) <= 0.9


def test_what_a_server_counts_otherwise_is_learned():
    assert learned(*[10] * 60, sent=100, told=150).tokens(200, 0)["input_tokens"] == 300


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=0, output_tokens=None)])
def test_who_does_not_tell_teaches_nothing(usage):
    expected, fresh = Expected(), Expected()
    expected.learn(100, usage)
    assert expected.tokens(100, None) == fresh.tokens(100, None)


def asked(seed, tpm):
    expected = Expected()

    def estimate(sent):
        tokens = expected.tokens(sent, None)
        return tokens["input_tokens"], tokens["output_tokens"]

    def learn(sent, answered):
        expected.learn(sent, Usage(input_tokens=sent, output_tokens=answered))

    return played(seed, tpm, estimate=estimate, learn=learn)


@pytest.mark.parametrize(
    ("tpm", "seeds", "most_refused"),
    [
        (200_000, range(10), 0.0002),
        pytest.param(100_000, range(250), 0.0005, marks=pytest.mark.nightly),
        pytest.param(200_000, range(250), 0.0002, marks=pytest.mark.nightly),
        pytest.param(400_000, range(250), 0.0002, marks=pytest.mark.nightly),
        pytest.param(2_000_000, range(20), 0.0002, marks=pytest.mark.nightly),
    ],
)
def test_hardly_a_call_is_refused_and_the_allowance_is_used(tpm, seeds, most_refused):
    """With the mean of the answers alone three to ten times as many are refused, and twice that at worst in one run."""
    found = [asked(seed, tpm) for seed in seeds]
    assert min(each.used for each in found) >= 0.95
    assert min(each.pace for each in found) >= 0.95
    assert sum(each.refused for each in found) <= most_refused * sum(each.calls for each in found)
    assert all(each.refused <= 0.005 * each.calls for each in found)
