"""A request's three stages, with a script's functions in place of some of them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from serving import media
from serving.codecs.text import to_text
from serving.engines import answers, plain, tensors
from serving.engines.context import Context
from serving.engines.function import Function
from serving.model import Model, Native, Take, Write
from serving.settings import Settings
from serving.values import Payload, Prediction, Request, Response

TEXT = ("application/json", "text/csv")
"""Bodies of these types reach a script as text, all others as bytes."""


Contexts = Callable[[Request | None], Context]
"""Makes the context of a request; of none where it will not be seen."""


class Carried(NamedTuple):
    """A value on its way through the stages, with the context that its functions share."""

    value: Any
    context: Context


class Transform:
    """A ``transform_fn``: all three stages in one, which is that of the prediction."""

    def __init__(
        self, function: Function, loaded: Any, contexts: Contexts, default_accept: str
    ) -> None:
        self._function = function
        self._loaded = loaded
        self._context = contexts
        self._default_accept = default_accept

    def model(self, base: Model) -> Model:
        """A model of this function and of nothing else of ``base``."""
        return Model(
            engine=base.engine,
            decode=Payload,
            predict=self.predict,
            encode=lambda prediction, _accept, _request: prediction.outputs,
            reads=(),
            writes=(),
            # An empty body is for the script to judge.
            foreign=frozenset({"decode", "predict"}),
            devices=base.devices,
            give=None,
        )

    def predict(self, payload: Payload) -> Prediction:
        """The whole response, to the request that the payload holds."""
        request: Request = payload.data
        context = self._context(request)
        accept = _accept(request.headers.get("accept", ""), self._default_accept)
        arguments = (self._loaded, *_body(request), accept)
        answer = self._function(*arguments, context=context)
        return Prediction(answers.response(self._function.name, answer, accept, context))


class Stages:
    """Three stages, each a script's function or that of the model below it."""

    def __init__(
        self,
        base: Model,
        native: Native,
        functions: Mapping[str, Function],
        contexts: Contexts,
        *,
        default_accept: str,
        stack_rows: bool,
    ) -> None:
        self._base = base
        self._native = native
        self._input = functions.get("input_fn")
        self._predict = functions.get("predict_fn")
        self._loaded = native.model() if self._predict else None
        self._output = functions.get("output_fn")
        self._context = contexts
        self._default_accept = default_accept
        self._stack_rows = stack_rows
        # Without these an output_fn's context may as well be a new one: nothing was set on it.
        self._carries = any(f and f.takes_context for f in (self._input, self._predict))

    def model(self, settings: Settings) -> Model:
        """The model below with these stages."""
        base = self._base
        own = {"decode": self._input, "predict": self._predict, "encode": self._output}
        foreign = {stage for stage, function in own.items() if function}
        writes = tensors.writes(settings) if self._predict and not self._output else base.writes
        return replace(
            base,
            decode=self.decode if self._input or self._predict else base.decode,
            predict=self.predict if self._predict or self._carries else base.predict,
            encode=self.encode,
            reads=() if self._input else base.reads,
            writes=() if self._output else writes,
            inputs=() if self._input else base.inputs,
            outputs=() if self._predict or self._output else base.outputs,
            sample=None if self._predict else base.sample,
            merge_key=self._merge_key,
            foreign=base.foreign | foreign,
            take=self._taking,
            give=None if self._output else self.give,
        )

    @property
    def _merge_key(self) -> Any:
        if self._predict is None:
            return self._base.merge_key
        return "the script's" if self._stack_rows and not self._carries else None

    def decode(self, request: Request) -> Payload:
        """The value of ``input_fn``, or the engine's."""
        context = self._context(request)
        if self._input is None:
            payload = self._base.decode(request)
        else:
            value = self._input(*_body(request), context=context)
            payload = Payload(value) if self._predict else self._native.payload(value)
        return self._passed(payload, context)

    @property
    def _taking(self) -> Take | None:
        """How named arrays are taken, unless an ``input_fn`` reads the body."""
        take = None if self._input else self._base.take
        if take is None or self._predict is None:
            return take
        return lambda arrays, request: self._passed(take(arrays, request), self._context(request))

    def _passed(self, payload: Payload, context: Context) -> Payload:
        """A decoded value on its way to ``predict``."""
        if self._carries:
            return Payload(Carried(payload.data, context), payload.rows)
        if self._stack_rows:
            return _stackable(payload.data)
        # That the engine takes stacked rows says nothing of predict_fn.
        return payload._replace(merge_key=None) if self._predict else payload

    def predict(self, payload: Payload) -> Prediction:
        """The value of ``predict_fn``, or the engine's outputs."""
        data, context = _parts(payload.data)
        if self._predict is None:
            outputs = self._base.predict(payload._replace(data=data)).outputs
        else:
            value = data if self._input else self._native.argument(data)
            context = context or self._context(None)
            outputs = self._predict(value, self._loaded, context=context)
        return Prediction(Carried(outputs, context) if self._carries and context else outputs)

    def encode(self, prediction: Prediction, accept: str, request: Request) -> Response:
        """The body of ``output_fn``, or the engine's, with what the context was given."""
        outputs, context = _parts(prediction.outputs)
        context = context or self._context(request)
        if self._output is None:
            encode = plain.encode if self._predict else self._base.encode
            return context.apply(encode(Prediction(outputs), accept, request))
        value = outputs if self._predict else self._native.result(outputs)
        accept = _accept(accept, self._default_accept)
        answer = self._output(value, accept, context=context)
        return answers.response(self._output.name, answer, accept, context)

    def give(self, prediction: Prediction, write: Write) -> Response:
        """The outputs as named arrays, with what the context was given."""
        outputs, context = _parts(prediction.outputs)
        give = (None if self._predict else self._base.give) or plain.give
        answer = give(Prediction(outputs), write)
        return answer if context is None else context.apply(answer)


def _parts(value: Any) -> tuple[Any, Context | None]:
    return value if isinstance(value, Carried) else (value, None)


def _stackable(data: Any) -> Payload:
    """A payload of arrays that can be stacked, or of anything else that cannot."""
    arrays = data if isinstance(data, dict) else {"": data}
    if not all(isinstance(array, np.ndarray) and array.ndim for array in arrays.values()):
        return Payload(data)
    counts = {len(array) for array in arrays.values()}
    if len(counts) != 1:
        return Payload(data)
    return Payload(data, counts.pop(), tensors.merge_key(arrays))


def _body(request: Request) -> tuple[str | bytes, str]:
    """The body as a script gets it, and its Content-Type.

    Raises:
        DecodeError: it is no text, though its type says so.
    """
    content_type = request.headers.get("content-type") or tensors.DEFAULT_CONTENT_TYPE
    if content_type.partition(";")[0].strip().lower() not in TEXT:
        return request.body, content_type
    return to_text(request.body, media.parse(content_type)), content_type


def _accept(accept: str, default: str) -> str:
    return default if accept.strip() in ("", "*/*") else accept
