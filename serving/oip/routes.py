"""What answers at a model's paths, by method."""

from collections.abc import Callable

from serving.call import Handler, Reply
from serving.errors import ModelNotFound
from serving.oip import metadata
from serving.targets import INFER, Target
from serving.values import Request


def routes(target: Target, ask: Handler, check: Callable[[], None]) -> dict[str, Handler]:
    """The handlers of one of a model's paths.

    Args:
        target: What the path names.
        ask: Has the model answer for itself: to an inference request, or with its metadata.
        check: Returns if the model can answer. Raises ServingError with the reason if not.

    Raises:
        ModelNotFound: it names a version that there is not.
    """
    if target.version not in ("", metadata.VERSION):
        raise ModelNotFound(
            f"Model {target.model} has version {metadata.VERSION} only, no {target.version[:40]!r}."
        )

    def ready(_request: Request, reply: Reply) -> None:
        check()
        reply.send(metadata.ready(target.model))

    if target.action == INFER:
        return {"POST": ask}
    return {"GET": ready if target.action else ask}
