"""This server beside what a user would pick instead, under the same load.

Run it with ``python -m benchmarks.peers`` from the root of the repository. Each folder is a peer:
its ``peer.toml`` (see ``peer.py``) says how it is started and asked.
"""
