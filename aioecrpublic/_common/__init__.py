"""The ground floor: what two or more parts of the package need and none of them owns.

A module here imports nothing else of the package, only the standard library and declared dependencies, and
at least two parts use it; ``tests/test_architecture.py`` holds both.
"""
