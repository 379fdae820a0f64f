"""AWS's multi-model-server as the host: its Java front end, and the core in its processes."""
