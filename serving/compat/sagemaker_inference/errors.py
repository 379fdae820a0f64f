"""Exceptions whose status becomes the answer's, as ``sagemaker_inference.errors`` has them."""

from http import HTTPStatus

UNSUPPORTED_MEDIA_TYPE = int(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
NOT_ACCEPTABLE = int(HTTPStatus.NOT_ACCEPTABLE)


class BaseInferenceToolkitError(Exception):
    """An error with a status, a message and a reason phrase."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        self.status_code = status_code
        self.message = message
        self.phrase = phrase
        super().__init__(message)


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """An error of any kind; the phrase is the message unless it is given."""

    def __init__(
        self, status_code: int, message: str | None = None, phrase: str | None = None
    ) -> None:
        message = message or "Invalid Request"
        super().__init__(int(status_code), message, phrase or message)


class UnsupportedFormatError(BaseInferenceToolkitError):
    """A media type that cannot be read, 415, or written, 406. The toolkit answers 500 to both."""

    def __init__(self, content_type: str, status_code: int = UNSUPPORTED_MEDIA_TYPE) -> None:
        message = f"Content type {content_type} is not supported by this framework."
        super().__init__(status_code, message, message)
