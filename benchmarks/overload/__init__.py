"""The server at twice its capacity: what it still answers, how late, and how fast it refuses.

Run it with ``python -m benchmarks.overload`` from the root of the repository.
"""
