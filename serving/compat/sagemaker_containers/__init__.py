"""What inference scripts use of AWS's ``sagemaker-containers``, on which its older images rest.

Those for scikit-learn and XGBoost have it, and scripts for them import it.
"""

from serving.compat import Absent

from . import beta

__all__ = ["beta"]


def __getattr__(name: str) -> Absent:
    return Absent(f"{__name__}.{name}")
