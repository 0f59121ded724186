"""What Hush costs, measured against hand-written asyncio: ``python -m benchmarks``."""
