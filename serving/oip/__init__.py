"""The Open Inference Protocol, version 2, which KServe and Triton's clients speak.

Named tensors in, named tensors out, as JSON or with Triton's binary tensor extension. A request is
answered by the way of all others, through the model's queue and together with them: only what reads
the body and writes the answer is another.
"""

from serving.oip.inference import Inference
from serving.oip.metadata import index, of_model, server
from serving.oip.routes import routes

__all__ = ["Inference", "index", "of_model", "routes", "server"]
