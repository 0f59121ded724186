"""Traces in a SQLite file: its tables, what writes them, and what reads them."""
