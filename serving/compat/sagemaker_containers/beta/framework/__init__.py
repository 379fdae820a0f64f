"""Content types, encoders, errors and responses, as ``sagemaker_containers`` has them.

Scripts import ``env``, ``modules`` and ``transformer`` along with these.
"""

from serving.compat import Absent
from serving.compat.sagemaker_inference import content_types, errors

from . import encoders, worker

__all__ = ["content_types", "encoders", "errors", "worker"]


def __getattr__(name: str) -> Absent:
    return Absent(f"{__name__}.{name}")
