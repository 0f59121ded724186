"""What the tests share: time that jumps, cancellation at every tick, and graphs as plain data."""
