"""The scripted language model: what it answers, how it fails, and how that goes over the wire."""
