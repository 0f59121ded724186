"""Hush, a workflow engine: say what depends on what, and it runs everything that can run at the same time."""

__version__ = "0.1.0"
