"""The short examples, run as a newcomer runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SAID = {
    "fan_out": ["news on graphs", "wiki on graphs", "forum on graphs", "took less than 0.4 s"],
    "dynamic_fan_out": [
        "8 items, in input order: [5, 4, 5, 3, 5, 2, 3, 4]",
        "at most 3 at a time",
        "as they came: 8 items",
    ],
    "partial_failure": [
        "partial: [3, None, 5, None]",
        "orders/rows/parse, item 1 (A2): invalid literal",
        "one tolerated, 2 of 4 failed",
        "failed fast at item 1 (A2)",
    ],
    "rate_limited_api": [
        "80 products from an API that serves 40 requests in any second",
        "Limit(per_second=40)           80       0        0",
        'Limit(concurrency="auto")      80       0',
    ],
    "progress": ["12,357 words; 273 lines sent, 7 failed"],
    "streaming_maps": [
        "stream: starts with the first of convert",
        "of 500 were pulled: item 0",
        "500 stored, and never more than 17 under way",
    ],
    "branches_and_loops": [
        "the root of 2: 1.414 (default), 4 rounds",
        "the root of 0: 0 (number == 0), 0 rounds",
        "the root of -4: none (number < 0), 0 rounds",
        "the root of 144: 12.000 (default), 7 rounds",
    ],
}
QUICKLY = {"rate_limited_api"}


@pytest.mark.parametrize("name", SAID)
def test_a_short_example_runs_and_says_what_it_shows(name):
    program = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *(["--quick"] if name in QUICKLY else [])]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for part in SAID[name]:
        assert part in done.stdout
