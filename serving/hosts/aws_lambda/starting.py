"""Start-up, in Lambda's init phase: the model is loaded when the first event comes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from awslambdaric.lambda_runtime_exception import FaultException

from serving import configuration, logs
from serving.entry import State
from serving.errors import ConfigurationError, ModelLoadError
from serving.hosts import aws_lambda
from serving.hosts.aws_lambda import limits
from serving.hosts.aws_lambda.host import Host
from serving.preparing import log, prepare
from serving.settings import Settings


def start(environment: Mapping[str, str], **given: Any) -> Host:
    """The handler, whose model is loaded. ``given`` are settings that win over the environment.

    Raises:
        FaultException: there is none, or it cannot be loaded. The runtime client tells Lambda, and
            ends.
    """
    try:
        settings = configuration.read(environment, **given)
        logs.configure(settings.log_level, settings.log_format)
        settings, folder = prepare(heeded(settings), environment)
        host = Host(settings, folder)
        state, reason = host.settled()
        if state is State.FAILED:
            raise ModelLoadError(reason)
    except ConfigurationError as error:
        raise FaultException(error.type, str(error), None) from error
    return host


def heeded(settings: Settings) -> Settings:
    """The settings, without those for what cannot be done here; the log names each of them."""
    plain = Settings()
    changed = {}
    for name, limit in limits.CANNOT.items():
        if getattr(settings, name, None) != getattr(plain, name, None):
            changed[name] = getattr(plain, name)
            log.warning("%s: on Lambda there are none. %s", limit.what, limit.instead)
    most = min(settings.max_body, limits.PAYLOAD)
    return replace(settings, **changed, max_body=most, workers=1)


def run(**given: Any) -> None:
    """Answer events until Lambda ends this process, with settings that win over the environment.

    The variable AWS_LAMBDA_RUNTIME_API says where they come from.
    """
    from awslambdaric.__main__ import main

    aws_lambda.given.update(given)
    main(["awslambdaric", aws_lambda.HANDLER])
