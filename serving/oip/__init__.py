"""The Open Inference Protocol, version 2, which KServe and Triton's clients speak.

Named tensors in, named tensors out, as JSON or with Triton's binary tensor extension. A request is
answered by the way of all others, through the model's queue and together with them: only what reads
the body and writes the answer is another.

What is below imports the rest when the first request speaks the protocol: few functions on Lambda
are ever asked so, and each of them would start later.
"""

from collections.abc import Callable, Iterable

from serving.call import Dialect, Handler
from serving.model import Model
from serving.targets import Target
from serving.values import Response


def dialect(model: Model, target: Target) -> Dialect:
    """How a model's inference requests are read and answered."""
    from serving.oip.inference import Inference

    return Inference(model, target)


def handlers(target: Target, ask: Handler, check: Callable[[], None]) -> dict[str, Handler]:
    """What answers at one of a model's paths, by method; see `serving.oip.routes`.

    Raises:
        ModelNotFound: it names a version that there is not.
    """
    from serving.oip.routes import routes

    return routes(target, ask, check)


def of_model(model: Model, target: Target) -> Response:
    """A model's metadata."""
    from serving.oip import metadata

    return metadata.of_model(model, target)


def server() -> Response:
    """The server's metadata."""
    from serving.oip import metadata

    return metadata.server()


def index(models: Iterable[tuple[str, str]]) -> Response:
    """The names of models, each with why it cannot answer, if it cannot."""
    from serving.oip import metadata

    return metadata.index(models)
