"""Arrays into bodies and back."""

from serving.compat.sagemaker_inference.decoder import decode
from serving.compat.sagemaker_inference.encoder import encode

__all__ = ["decode", "encode"]
