"""An environment for each peer, with the version that ``versions.txt`` names and what else that needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks._processes import ROOT
from benchmarks.peers._contestants import Contestant

FOLDER = ROOT / ".venv-peers"
VERSIONS = Path(__file__).with_name("versions.txt")


def pins() -> dict[str, str]:
    """The line ``name==version`` of each distribution."""
    lines = VERSIONS.read_text(encoding="utf-8").split()
    return {line.partition("==")[0]: line for line in lines}


def python_of(contestant: Contestant) -> str:
    """The interpreter that runs it."""
    if contestant.distribution is None:
        return sys.executable
    folder = FOLDER / contestant.name
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def stands(contestant: Contestant) -> bool:
    """Whether its environment has the pinned version and this Python."""
    if contestant.distribution is None:
        return True
    stamp = _stamp(contestant)
    return stamp.exists() and stamp.read_text(encoding="utf-8") == _key(contestant)


def make(contestants: Iterable[Contestant]) -> None:
    """Make the environments that do not stand yet."""
    for contestant in contestants:
        if stands(contestant):
            print(f"{contestant.name}: stands", file=sys.stderr)
            continue
        print(f"{contestant.name}: installing {', '.join(_pins(contestant))} ...", file=sys.stderr)
        folder = FOLDER / contestant.name
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run(
            [
                python_of(contestant),
                *["-m", "pip", "install", "--quiet", "--disable-pip-version-check"],
                *_pins(contestant),
            ],
            check=True,
        )
        # Last, so that an installation that was broken off does not pass for a finished one.
        _stamp(contestant).write_text(_key(contestant), encoding="utf-8")


def surroundings(contestant: Contestant) -> dict[str, str]:
    """The variables that its processes get."""
    ours = {"PYTHONDONTWRITEBYTECODE"}  # without compiled files every import would compile
    if contestant.distribution is not None:
        ours |= {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}  # one of the peers has a package called `hush`, too
    quiet = {"HAYSTACK_TELEMETRY_ENABLED": "False", "LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"}
    return {name: value for name, value in os.environ.items() if name not in ours} | quiet


def _pins(contestant: Contestant) -> list[str]:
    known = pins()
    return [known[name] for name in (contestant.distribution or "", *contestant.also)]


def _key(contestant: Contestant) -> str:
    return "\n".join([*_pins(contestant), sys.version, ""])


def _stamp(contestant: Contestant) -> Path:
    return FOLDER / contestant.name / "made"
