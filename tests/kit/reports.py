"""Reports on the runs of ``kit.runs_seen``, and a list of these runs."""

from __future__ import annotations

from hush.observability._report import report
from kit import runs_seen
from kit.runs_seen import Seen

SCENES = {
    "thousand": lambda: runs_seen.failed_thousand(items=200),
    "sampled": lambda: runs_seen.failed_thousand(items=300, keep_all=False),
    "killed": runs_seen.killed,
    "models": runs_seen.llm_batch,
    "nested": runs_seen.nested,
    "one": runs_seen.one_node,
    "empty": runs_seen.empty,
    "threads": lambda: runs_seen.in_threads(items=60),
}


def seen_in(seen: Seen, **more):
    return report(seen.record(**more), seen.spans)
