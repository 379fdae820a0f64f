"""The SageMaker Runtime API, as clients of AWS speak it, in front of the core.

A translation and no more: a request to ``/endpoints/<name>/...`` becomes one to ``/invocations``,
and what the core answers becomes what boto3, the AWS CLI and the other clients of AWS expect.
"""

from serving.runtime.front import Endpoints, check

__all__ = ["Endpoints", "check"]
