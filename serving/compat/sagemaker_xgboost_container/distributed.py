"""Trains on several machines in the XGBoost container; scripts that train as well import it."""

from serving.compat import Absent


def __getattr__(name: str) -> Absent:
    return Absent(f"{__name__}.{name}")
