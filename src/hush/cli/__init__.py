"""The command ``hush``: graphs are run, checked and drawn, and what their runs left is looked at."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ("main",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; ``arguments`` are those of the process if not given.

    Returns:
        What the process is to exit with, as ``hush --help`` lists it.
    """
    try:
        from hush.cli._app import invoke
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("cyclopts", "rich", "attrs", "attr"):
            raise
        sys.stderr.write(f'hush: the command needs an extra: pip install "hushflow[cli]" ({error})\n')
        return 2
    return invoke(sys.argv[1:] if arguments is None else arguments)
