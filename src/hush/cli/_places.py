"""Paths as the command shows them."""

from __future__ import annotations

import os


def shown_path(path: str) -> str:
    """The path from here, if it lies below the working folder."""
    try:
        near = os.path.relpath(path) if os.path.isabs(path) else path
    except (OSError, ValueError):  # another drive, or the working folder is gone
        return path
    return path if near.startswith(os.pardir) else near
