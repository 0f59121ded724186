from __future__ import annotations

from pathlib import Path

import pytest

from hush.observability import TraceStore
from hush.observability._local._writer import LocalWriter


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "traces" / "traces.db"


@pytest.fixture
def writer(file: Path):
    made = LocalWriter(str(file))
    yield made
    made.close()


@pytest.fixture
def store(file: Path) -> TraceStore:
    return TraceStore(file)
