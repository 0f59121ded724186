"""Random policies together: each leaf ends as its function and its retries say, whatever else is around it.

No limit is exceeded, no call is made too often or too seldom, nothing is held when all is over, and the same seed gives
the same run.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kit.guarded import Guarded, guarded_graphs, interpret
from kit.guarded_built import Play
from kit.guarded_laws import complaints
from kit.tiers import every_change, nightly, patient

pytestmark = pytest.mark.usefixtures("leak_check", "silence")
_shrunk = [Phase.generate, Phase.shrink]


def hold(guarded: Guarded, seed: int, *, again: bool) -> None:
    """The laws, for one order of turns."""
    play = Play(guarded, seed)
    play.run()
    found = list(complaints(play, interpret(guarded)))
    assert not found, "\n".join([*found, f"in {guarded!r}"])
    if again:
        second = Play(guarded, seed)
        second.run()
        assert second.trace() == play.trace(), f"the same seed gave another run of {guarded!r}"


seeds = st.integers(0, 1 << 20)


@patient
@settings(every_change, phases=_shrunk, max_examples=60)
@given(guarded_graphs(), seeds)
def test_each_leaf_ends_as_its_function_and_its_retries_say(guarded, seed):
    hold(guarded, seed, again=seed % 4 == 0)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@settings(nightly, phases=_shrunk, max_examples=3000)
@given(guarded_graphs(), seeds)
def test_each_leaf_ends_as_its_function_and_its_retries_say_three_thousand_times(guarded, seed):
    hold(guarded, seed, again=True)
