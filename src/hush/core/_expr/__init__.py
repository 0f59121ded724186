"""Recorded references: what ``node["k"].strip() + 1`` means, kept as data until the value is read."""
