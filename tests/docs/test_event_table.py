"""The table of events in docs/running.md names every event, with fields that it has."""

from __future__ import annotations

import re

from docs.printed import ROOT
from hush.core import events

_PAGE = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
_ROWS = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|[^|]*\|([^|]*)\|$", _PAGE, re.MULTILINE)
_NAMES = {name for name in events.__all__ if name != "Event"}


def test_every_event_is_in_the_table() -> None:
    told = [name for row, _ in _ROWS for name in re.findall(r"\w+", row) if name in _NAMES]
    assert sorted(told) == sorted(_NAMES)


def test_events_have_the_fields_that_the_table_tells_of() -> None:
    for row, fields in _ROWS:
        classes = [getattr(events, name) for name in re.findall(r"\w+", row) if name in _NAMES]
        if classes:
            has = {field for one in classes for field in one._fields}
            assert set(re.findall(r"`(\w+)`", fields)) <= has, row
