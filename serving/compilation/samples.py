"""Samples: files with the body of a request, whose rows a model is compiled and compared with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.errors import ModelLoadError, RequestError, SettingError
from serving.media import BY_SUFFIX
from serving.model import Model
from serving.values import Request

Arrays = Mapping[str, NDArray[Any]]


def request(sample: Path) -> Request:
    """A request with the sample as its body; the suffix says of which media type it is.

    Raises:
        SettingError: the suffix is not known, or the file cannot be read.
    """
    content_type = BY_SUFFIX.get(sample.suffix.lower(), "")
    if not content_type:
        raise SettingError(f"The sample {sample} does not end in one of {', '.join(BY_SUFFIX)}.")
    try:
        body = sample.read_bytes()
    except OSError as error:
        raise SettingError(f"The sample {sample} cannot be read: {error.strerror}.") from error
    return Request("POST", "/invocations", {"content-type": content_type}, body)


def decoded(sample: Request, model: Model) -> Any:
    """What a model makes of a sample.

    Raises:
        SettingError: the sample does not fit the model.
    """
    try:
        return model.decode(sample).data
    except RequestError as error:
        raise SettingError(f"The sample does not fit the model: {error}") from error


def arrays(sample: Request, model: Model, folder: Path) -> Arrays:
    """The arrays that a model of named tensors makes of a sample, each with rows.

    Args:
        sample: The request.
        model: The model, with its script.
        folder: Where it was loaded from, for the error.

    Raises:
        SettingError: the sample does not fit the model.
        ModelLoadError: the model's script makes something else of it.
    """
    found = decoded(sample, model)
    if not isinstance(found, Mapping) or not all(map(_has_rows, found.values())):
        raise ModelLoadError(
            f"The script in {folder} makes something else of the sample than tensors with rows; "
            "only models that take those can be compiled here."
        )
    return found


def _has_rows(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 0
