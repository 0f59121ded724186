"""Admission by limits: who may start now, who waits, and what happens when a call ends. Knows no event loop."""
