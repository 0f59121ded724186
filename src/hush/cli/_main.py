"""``main``: where the process of the command begins. Nothing is loaded before it is known that the extra is there."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; ``arguments`` are those of the process if not given.

    Returns:
        What the process is to exit with, as ``hush --help`` lists it.
    """
    _open_standard_streams()
    _forget_odd_width()
    try:
        from hush.cli._app import invoke
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("cyclopts", "rich", "attrs", "attr"):
            raise
        sys.stderr.write(f'hush: the command needs an extra: pip install "hushflow[cli]" ({error})\n')
        return 2
    if arguments is not None:
        return invoke(arguments)
    code = invoke(sys.argv[1:])
    if logs := sys.modules.get("hush.cli._logs"):  # else nothing was shown
        logs.show_logs_to_the_end()
    return code


def _forget_odd_width() -> None:
    """A ``COLUMNS`` of 0, as some terminals set it, or of a million says nothing of a terminal; rich would heed it."""
    said = os.environ.get("COLUMNS", "")
    if said.isdigit() and not (said.isdecimal() and len(said) <= 4 and int(said) > 0):
        del os.environ["COLUMNS"]


def _open_standard_streams() -> None:
    """One that was closed (``>&-``), for which Python has ``None``, leads nowhere from now on.

    Else the next file that is opened would get its number, and what is printed would be written to it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
