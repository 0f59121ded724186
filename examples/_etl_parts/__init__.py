"""The parts of ``examples/etl.py``: what is extracted, what is done with it, and where it goes."""
