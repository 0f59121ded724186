"""The command ``hush``: graphs are run, checked and drawn, and what their runs left is looked at."""

from __future__ import annotations

from hush.cli._main import main

__all__ = ("main",)
