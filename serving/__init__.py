"""One model package, one serving core, any host."""

__version__ = "0.1.0"
