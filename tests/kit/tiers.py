"""How long tests of random cases go on, at every change and at night. Each says for itself how many cases that is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

patient = pytest.mark.timeout(600)  # of which only a failure needs most: what fails is made smaller

_slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_usual = settings(deadline=None, database=None, phases=[Phase.generate], suppress_health_check=_slow)
every_change = settings(_usual, derandomize=True)  # the kit's own `smaller` makes what fails small
nightly = settings(_usual, print_blob=True)


def by_day(values: Iterable[Any], *usual: int) -> list[Any]:
    """``values`` for ``parametrize``: at every change those at these places, the others at night."""
    return [
        value
        if at in usual
        else pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.nightly)
        for at, value in enumerate(values)
    ]
