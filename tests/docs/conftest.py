"""Fixtures of the guide."""

from docs.guide import guide, play, run_it

__all__ = ("guide", "play", "run_it")
