"""Specs: a graph as frozen data. Drawing, checking and hashing need nothing else."""
