"""The server, a plain Flask baseline and nginx under the same load, in one table.

Run it with ``python -m benchmarks.throughput`` from the root of the repository.
"""


class BenchmarkError(Exception):
    """The benchmark cannot go on; the message says why, in a sentence."""
