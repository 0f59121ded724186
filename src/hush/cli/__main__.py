"""``python -m hush.cli`` is ``hush``."""

from __future__ import annotations

import sys

from hush.cli._main import main

if __name__ == "__main__":
    sys.exit(main())
