"""Pushing beside everybody else who speaks this API: ``python -m tests.tools.benchmarks``."""
