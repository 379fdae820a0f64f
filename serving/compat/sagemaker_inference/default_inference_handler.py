"""The toolkit's default functions, which scripts subclass or call."""

from typing import Any

from . import decoder, encoder, utils
from .errors import NOT_ACCEPTABLE, UnsupportedFormatError


class DefaultInferenceHandler:
    """Default functions of a script."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        """There is none: what a model is, its script has to say."""
        raise NotImplementedError(f"A script needs a model_fn to load the model in {model_dir}.")

    def default_input_fn(self, input_data: Any, content_type: str, context: Any = None) -> Any:
        """The array in the body."""
        return decoder.decode(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        """There is none: what a prediction is, its script has to say."""
        raise NotImplementedError(f"A script needs a predict_fn to call a {type(model).__name__}.")

    def default_output_fn(
        self, prediction: Any, accept: str, context: Any = None
    ) -> tuple[str | bytes, str]:
        """The body with the array, in the first type that the client accepts, and that type."""
        for content_type in utils.parse_accept(accept):
            if content_type in encoder.SUPPORTED_CONTENT_TYPES:
                return encoder.encode(prediction, content_type), content_type
        raise UnsupportedFormatError(accept, NOT_ACCEPTABLE)
