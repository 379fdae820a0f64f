"""Media types the toolkit reads and writes, each in a module of its own."""

from serving.codecs import csv, json, jsonlines, libsvm, npy, npz, recordio
from serving.codecs.base import Codec, Outputs, Sparse
from serving.errors import UnsupportedMediaType
from serving.media import MediaType

__all__ = ["BY_NAME", "CODECS", "Codec", "Outputs", "Sparse", "find"]

CODECS = (
    *(csv.CODEC, json.CODEC, jsonlines.CODEC, libsvm.CODEC),
    *(npy.CODEC, npz.CODEC, recordio.CODEC),
)

BY_NAME = {name: codec for codec in CODECS for name in (codec.media_type, *codec.aliases)}
"""Codecs by every name a client may use."""


def find(media: MediaType, accepted: tuple[str, ...]) -> Codec:
    """The codec for a Content-Type, which must be among the canonical names ``accepted``.

    Raises:
        UnsupportedMediaType: unknown, or not among ``accepted``; the message lists those.
    """
    codec = BY_NAME.get(media.essence)
    if codec is None or codec.media_type not in accepted:
        raise UnsupportedMediaType(
            f"{media.essence} is not an accepted Content-Type; this model reads "
            f"{', '.join(accepted)}."
        )
    return codec
