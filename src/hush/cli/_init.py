"""``hush init``: a small project to start from."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hush.cli._exit import Code, Stop, say
from hush.cli._results import results_only
from hush.cli._safe import safe
from hush.cli._starter import FILES


def init(folder: Annotated[Path, Parameter(name="FOLDER", help="Where; made if it is not there.")] = Path(), /) -> int:
    """Make a small project to start from: a graph, its resources, inputs, a test. It runs without network and keys.

    No file is overwritten: one that is there is left as it is.
    """
    with results_only() as results:
        kept = []
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise _cannot(folder, error) from error
        for name, text in FILES.items():
            path = os.path.join(folder, name)
            try:
                with open(path, "x", encoding="utf-8") as file:  # a link that leads nowhere is there, too
                    file.write(text)
            except FileExistsError:
                kept.append(name)
                say(f"hush: {safe(str(path))} is there already, and is left as it is")
            except OSError as error:
                raise _cannot(path, error) from error
            else:
                results.text(f"made {path}")
        lines = ["", "Try:"]
        if os.path.abspath(folder) != os.getcwd():
            place = f"./{folder}" if str(folder).startswith("-") else str(folder)  # else it is an option of ``cd``
            lines.append(f"    cd {shlex.quote(place)}")
        lines += ["    hush check graph.py", "    hush run graph.py --inputs inputs.json", "    python -m pytest"]
        if "graph.py" not in kept:
            results.text("\n".join(lines))
    return Code.OK


def _cannot(path: str | Path, error: OSError) -> Stop:
    return Stop(Code.USAGE, safe(f"hush: {error.filename or path}: {error.strerror}"))
