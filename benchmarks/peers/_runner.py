"""Rounds: every way to do a row is sampled in turn, A B C A B C ..., each in the process of its contestant."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks._processes import ROOT
from benchmarks.peers import _rows
from benchmarks.peers._contestants import Contestant
from benchmarks.peers._environments import python_of, surroundings
from benchmarks.peers._fresh import FIRST, MANY_ITEMS
from benchmarks.peers._session import DiedError, Session, TookTooLongError

Answer = dict[str, Any]
SLACK_S = 20.0  # for imports, and for smaller maps before the large one


@dataclass(frozen=True)
class Effort:
    """How often, and for how long."""

    rounds: int
    sample_s: float  # shorter calls are repeated until a sample takes about this long
    enough_s: float  # of samples of one way to do one row
    fresh: int  # processes for the first runs
    heavy: int  # maps over a million
    once_s: float  # a first call that takes longer is the only one
    cap_s: float  # and one that takes longer than this is ended
    million_s: float  # so is a map over a million


FULL = Effort(rounds=15, sample_s=0.02, enough_s=1.0, fresh=5, heavy=3, once_s=4.0, cap_s=30.0, million_s=60.0)
QUICK = Effort(rounds=3, sample_s=0.005, enough_s=0.3, fresh=2, heavy=1, once_s=1.0, cap_s=10.0, million_s=10.0)


@dataclass
class Way:
    """One way of one contestant to do one row, and what came of it."""

    contestant: str
    row: str
    label: str
    samples: list[float] = field(default_factory=list)  # seconds of a call; for memory, MB
    verdict: str = ""  # in place of a figure

    @property
    def figure(self) -> float:
        """The median, in the row's unit."""
        row = next(each for each in _rows.ALL if each.name == self.row)
        return row.figure(median(self.samples))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ── Warm rows ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Warm:
    """The rows that are run again and again, in one process for each contestant."""

    def __init__(self, contestants: Iterable[Contestant], effort: Effort) -> None:
        self._effort = effort
        self._sessions = {each.name: Session(each) for each in contestants}
        self.hellos = {
            name: session.ask(5.0, do="hello", distribution=session.contestant.distribution)
            for name, session in self._sessions.items()
        }

    def stop(self) -> None:
        for session in self._sessions.values():
            session.stop()

    def measure(self, row: _rows.Row) -> list[Way]:
        """Prepare all, then sample them turn by turn."""
        say(f"{row.name} ...")
        found = [
            Way(name, row.name, label)
            for name, hello in self.hellos.items()
            for label in hello["ways"].get(row.name, ())
        ]
        racing = {way.label + way.contestant: (way, calls) for way in found if (calls := self._prepared(way))}
        for _ in range(self._effort.rounds):
            for key, (way, calls) in list(racing.items()):
                if sum(way.samples) * calls > self._effort.enough_s:
                    del racing[key]
                elif answer := self._ask(way, do="sample", label=way.label, calls=calls):
                    way.samples.append(answer["seconds"])
                else:
                    del racing[key]
        return found

    def _prepared(self, way: Way) -> int:
        """How many calls make up a sample; 0 if it takes no part in the rounds."""
        answer = self._ask(way, do="prepare", row=way.row, label=way.label)
        if answer is None:
            return 0
        if answer["seconds"] > self._effort.once_s:
            way.samples.append(answer["seconds"])
            return 0
        answer = self._ask(way, do="warm", label=way.label, sample_s=self._effort.sample_s)
        return 0 if answer is None else answer["calls"]

    def _ask(self, way: Way, **request: Any) -> Answer | None:
        """None if there is nothing more to measure; then the way says why."""
        session = self._sessions[way.contestant]
        try:
            answer = session.ask(self._effort.cap_s, **request)
        except TookTooLongError:
            verdict = f"> {self._effort.cap_s:.0f} s"
        except DiedError as died:
            say(str(died))
            verdict = "crashes"
        else:
            verdict = answer.get("wrong") or answer.get("failed") or ""
            if not verdict:
                return answer
        say(f"  {way.contestant} {way.label}: {verdict}")
        # What it did before its process ended, perhaps by another way's fault, stands.
        way.verdict = "" if way.samples else verdict
        return None


# ── Fresh processes ──────────────────────────────────────────────────────────────────────────────────────────────────


def first_runs(contestants: Iterable[Contestant], effort: Effort) -> list[Way]:
    """Imports and very first runs."""
    found: dict[tuple[str, str], Way] = {}
    for turn in range(effort.fresh + 1):
        say(f"first runs {turn} of {effort.fresh} ...")
        for contestant in contestants:
            code = FIRST.format(imports=contestant.imports, module=contestant.module)
            answers = _python(contestant, code, effort.cap_s + SLACK_S)
            if turn == 0:
                continue  # it wrote the compiled files and filled the caches of the disk
            if "failed" in answers or "over" in answers:
                raise RuntimeError(f"{contestant.name}: its first runs could not be measured: {answers}")
            for row, answer in answers.items():
                way = found.setdefault((contestant.name, row), Way(contestant.name, row, ""))
                _note(way, answer)
    return list(found.values())


def millions(contestants: Iterable[Contestant], labels: Callable[[str], Iterable[str]], effort: Effort) -> list[Way]:
    """The map over a million: seconds, and memory."""
    ways: list[tuple[Contestant, Way, Way]] = []
    for contestant in contestants:
        for label in labels(contestant.name):
            names = (_rows.MILLION_S.name, _rows.MILLION_MB.name)
            seconds, mb = (Way(contestant.name, row, label) for row in names)
            ways.append((contestant, seconds, mb))
    for turn in range(effort.heavy):
        for contestant, seconds, mb in ways:
            if seconds.verdict or (seconds.samples and seconds.samples[0] > effort.once_s * 2):
                continue
            begun = perf_counter()
            code = MANY_ITEMS.format(module=contestant.module, label=seconds.label, cap_s=effort.million_s)
            answer = _python(contestant, code, effort.million_s + SLACK_S)
            say(f"map-million {turn + 1}: {contestant.name} {seconds.label} {perf_counter() - begun:.1f} s {answer}")
            _note(seconds, answer)
            if "mb" in answer:
                mb.samples.append(answer["mb"])
            else:
                mb.verdict = "–"
    return [way for _, seconds, mb in ways for way in (seconds, mb)]


def _note(way: Way, answer: Answer) -> None:
    if "over" in answer:
        way.verdict = f"> {answer['over']:.0f} s"
    elif verdict := answer.get("wrong") or answer.get("failed"):
        way.verdict = verdict
    else:
        way.samples.append(answer["seconds"])


def _python(contestant: Contestant, code: str, limit_s: float) -> Answer:
    try:
        done = subprocess.run(
            [python_of(contestant), "-c", code],
            cwd=ROOT,
            env=surroundings(contestant),
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"over": limit_s - SLACK_S}
    if done.returncode != 0:
        say(f"{contestant.name} ended with {done.returncode}: {done.stderr[-2000:]}")
        return {"failed": "crashes"}
    return json.loads(done.stdout.strip().splitlines()[-1])
