"""The report as JSON: names that programs may rely on, and only what JSON can hold."""

from __future__ import annotations

import json
import os

import pytest

from hush.observability._report import report
from hush.observability._report_json import report_json, span_json
from hush.observability._source import SourceLines
from hush.observability._span import Frame
from kit import runs_seen


def document_of(seen, **more):
    found = report_json(report(seen.record(), seen.spans), **more)
    return json.loads(json.dumps(found, allow_nan=False))


@pytest.mark.parametrize("scene", ["failed_thousand", "killed", "llm_batch", "nested", "one_node", "empty"])
def test_every_report_is_plain(scene):
    seen = getattr(runs_seen, scene)()
    found = report_json(report(seen.record(), seen.spans), spans=seen.spans)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert len(found["spans"]) == len(seen.spans)


def test_the_names_stay():
    """Who adds a name adds it here; who takes one away, or gives it another meaning, raises the version."""
    found = document_of(runs_seen.failed_thousand(items=60))
    assert found["version"] == 1
    assert list(found) == [
        "version",
        "run",
        "failures",
        "unseen_failures",
        "time",
        "nodes",
        "slowest_calls",
        "under_way",
        "models",
        "generations",
        "rerouted",
        "retried",
        "waited_for",
    ]
    assert list(found["run"]) == [
        "trace",
        "request_id",
        "name",
        "status",
        "started_ns",
        "ended_ns",
        "user_id",
        "session_id",
        "tags",
        "seconds",
        "until_ns",
        "spans",
        "items",
        "cached",
        "failure",
    ]
    assert list(found["failures"][0]) == [
        "path",
        "kind",
        "type",
        "pattern",
        "place",
        "outcome",
        "count",
        "seen",
        "first",
        "failure",
        "inputs",
        "attempts",
        "passed_on",
    ]
    assert list(found["failures"][0]["first"][0]) == ["id", "items", "keys", "message", "at_ns", "attempts"]
    assert list(found["time"]) == [
        "wall_s",
        "total_s",
        "limits",
        "models",
        "code",
        "retries_s",
        "again_s",
        "joined_s",
        "ready_s",
        "inside_s",
        "idle_s",
        "at_once",
        "exact",
        "stopped",
        "thread_wait_s",
        "unsized",
        "again_exact",
        "calls_s",
    ]
    assert list(found["time"]["code"][0]) == ["name", "seconds", "share", "calls"]
    assert list(found["nodes"][0]) == [
        "path",
        "kind",
        "calls",
        "failed",
        "skipped",
        "cached",
        "attempts",
        "running",
        "ready_s",
        "seconds",
        "waited_s",
        "retry_s",
        "called_s",
        "joined_s",
        "slowest_s",
        "threaded",
        "thread_s",
        "thread_wait_s",
        "inside_s",
    ]
    assert list(found["slowest_calls"][0]) == [
        "id",
        "path",
        "kind",
        "items",
        "key",
        "status",
        "started_ns",
        "seconds",
        "waited_s",
        "waiting_for",
        "attempts",
        "lately_s",
        "begun",
    ]


def test_a_span_says_only_what_it_knows():
    seen = runs_seen.one_node("no")
    found = span_json(seen.spans[1])
    assert found["failure"]["message"] == "no"
    assert found["inputs"] == {"x": 1}
    assert "generation" not in found
    assert "waits" not in found


# ── Lines of source ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_lines_are_read_when_they_are_shown(tmp_path):
    file = tmp_path / "prices.py"
    file.write_text('def f():\n    raise ValueError(f"no {x}")\n', encoding="utf-8")
    lines = SourceLines(os.stat(file).st_mtime_ns)
    assert lines.line(Frame(str(file), 2, "f")) == 'raise ValueError(f"no {x}")'
    assert lines.line(Frame(str(file), 3, "f")) is None
    assert lines.line(Frame(str(file), 0, "f")) is None
    assert lines.line(Frame(str(file), -1, "f")) is None


def test_of_a_file_that_has_changed_since_nothing_is_shown(tmp_path):
    file = tmp_path / "prices.py"
    file.write_text("raise ValueError\n", encoding="utf-8")
    lines = SourceLines(os.stat(file).st_mtime_ns - 1)
    assert lines.line(Frame(str(file), 1, "f")) is None
    assert lines.changed == {str(file)}


def test_a_trace_cannot_have_any_file_shown(tmp_path):
    secret = tmp_path / "id_rsa"
    secret.write_text("PRIVATE\n", encoding="utf-8")
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    bad = tmp_path / "bad.py"
    bad.write_bytes(b"# coding: no-such\nx\n")
    lines = SourceLines(2**62)
    for name in (secret, tmp_path / "folder.py", tmp_path / "pipe.py", tmp_path / "none.py", bad, "x\0.py", "<stdin>"):
        assert lines.line(Frame(str(name), 1, "f")) is None


def test_secrets_in_source_are_not_shown(tmp_path):
    file = tmp_path / "keys.py"
    file.write_text('ask(key="sk-abcdefghijklmnopqrstuvwxyz0123456789")\n', encoding="utf-8")
    line = SourceLines(2**62).line(Frame(str(file), 1, "f"))
    assert line is not None
    assert "sk-abc" not in line
