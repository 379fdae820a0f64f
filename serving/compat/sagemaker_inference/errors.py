"""Exceptions whose status becomes the answer's, as ``sagemaker_inference.errors`` has them."""

from http import HTTPStatus


class BaseInferenceToolkitError(Exception):
    """An error with a status, a message and a reason phrase."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        self.status_code = status_code
        self.message = message
        self.phrase = phrase
        super().__init__(message)


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """An error of any kind; the phrase is the message unless it is given."""

    def __init__(self, status_code: int, message: str, phrase: str | None = None) -> None:
        super().__init__(int(status_code), message, phrase or message)


class UnsupportedFormatError(BaseInferenceToolkitError):
    """A media type that cannot be read or written: 415, where the toolkit answers 500."""

    def __init__(self, content_type: str) -> None:
        message = f"Content type {content_type} is not supported by this framework."
        super().__init__(int(HTTPStatus.UNSUPPORTED_MEDIA_TYPE), message, message)
