"""What the same work costs in other engines, each in an environment of its own: ``python -m benchmarks.peers``."""
