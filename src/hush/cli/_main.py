"""``main``: where the process of the command begins. Nothing is loaded before it is known that the extra is there."""

from __future__ import annotations

import sys
from collections.abc import Sequence


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
