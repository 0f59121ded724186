"""The runtime: frames, the tasks that drive them, and where functions run."""
