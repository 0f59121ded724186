"""What a cache keeps, and where: values as JSON with declared types, in memory or in a SQLite file."""
