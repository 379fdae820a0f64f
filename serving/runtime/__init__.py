"""The SageMaker Runtime API, as clients of AWS speak it, in front of the core.

A translation and no more: a request to ``/endpoints/<name>/...`` becomes one to ``/invocations``,
and what the core answers becomes what boto3, the AWS CLI and the other clients of AWS expect.
"""

from serving.settings import Settings

PREFIX = "/endpoints/"
"""What the paths of the API begin with."""


def asked_for(settings: Settings) -> bool:
    """Whether the settings say anything of the API, so that it has to be there from the start."""
    return bool(settings.endpoints or settings.async_output)


def check(settings: Settings) -> None:
    """Return if the API can be offered as the settings have it; called before a server starts.

    Raises:
        ConfigurationError: it cannot.
    """
    if asked_for(settings):
        from serving.runtime import front

        front.check(settings)
