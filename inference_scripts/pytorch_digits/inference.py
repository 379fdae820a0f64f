"""One grey image in, the digit it shows out."""

import orjson
import torch
from torch import Tensor

from serving import media
from serving.errors import DecodeError, UnsupportedMediaType

JSON = "application/json"
GRAYMAP = "image/x-portable-graymap"


def input_fn(input_data: bytes | str, content_type: str) -> Tensor:
    """An image as a tensor of shape (1, 8, 8), grey levels from 0 (dark) to 16 (the stroke)."""
    kind = media.parse(content_type).essence
    if kind == JSON:
        rows = read_json(input_data)
    elif kind == GRAYMAP:
        rows = read_graymap(input_data)
    else:
        raise UnsupportedMediaType(f"Send the image as {JSON} or {GRAYMAP}, not as {kind}.")

    try:
        image = torch.tensor(rows, dtype=torch.float32)
    except (TypeError, ValueError) as error:
        raise DecodeError(f"The pixels are not rows of equally many numbers: {error}.") from error
    if image.shape != (8, 8):
        raise DecodeError(f"The image has the shape {tuple(image.shape)}; (8, 8) is expected.")
    if not ((image >= 0) & (image <= 16)).all():  # so written, NaN is refused too
        raise DecodeError("A pixel is outside the range from 0 to 16.")
    return image.unsqueeze(0)


def read_json(body: bytes | str) -> object:
    """The pixels of ``{"pixels": [[0, 5, ...], ...]}``."""
    try:
        return orjson.loads(body)["pixels"]
    except (KeyError, TypeError, ValueError) as error:
        raise DecodeError(
            'The body is not JSON of the form {"pixels": [[0, ...], ...]}.'
        ) from error


def read_graymap(body: bytes | str) -> list[list[float]]:
    """The pixels of a plain portable graymap (Netpbm's P2), which is text with comments."""
    text = body if isinstance(body, str) else body.decode("ascii", "replace")
    fields = [field for line in text.splitlines() for field in line.partition("#")[0].split()]
    if fields[:4] != ["P2", "8", "8", "16"]:
        raise DecodeError("The body is not a plain graymap: its header should be P2 8 8 16.")
    try:
        pixels = [float(field) for field in fields[4:]]
    except ValueError as error:
        raise DecodeError(f"A pixel of the graymap is not a number: {error}.") from error
    return [pixels[start : start + 8] for start in range(0, len(pixels), 8)]


def output_fn(prediction: Tensor, accept: str) -> tuple[bytes, str]:
    """The likeliest digit and the probability of each, as JSON."""
    content_type = media.choose(accept, (JSON,))
    probabilities = prediction.softmax(dim=1)[0]
    answer = {"digit": int(probabilities.argmax()), "probabilities": probabilities.tolist()}
    return orjson.dumps(answer), content_type
