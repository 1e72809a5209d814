"""The generator behind TensorFlow Serving's gRPC API: one string tensor in, one out, all at once.

Needs grpcio and protobuf, which come in the layer `tensorflow_serving`. Knows gRPC's
statuses and what each means for a turn; what the server says with them is never told,
because it may quote the prompt. A model has no place for max_tokens and temperature
in one string: its own settings hold.
"""

from collections.abc import Generator as Yields
from contextlib import closing
from urllib.parse import urlsplit

import grpc

from parley.adapters.predict_messages import DT_STRING, PREDICT, PredictRequest, PredictResponse
from parley.errors import GenerationBusy, GenerationFailed, GenerationSlow
from parley.generation.transcript import Form, answer_of
from parley.ports import Patience, Prompt

MAX_ANSWER_BYTES = 4_000_000

_OPTIONS = [
    ("grpc.enable_http_proxy", 0),  # the environment does not redirect what people say
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
]
_BUSY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})
_TOO_LONG = "larger than max"  # gRPC calls an answer over our own limit an exhausted resource too


class TensorFlowServingGenerator:
    """`ports.Generator` over `PredictionService.Predict`, at grpc://host:port or, with TLS, grpcs://host:port.

    The one piece is the last as well, so it has all of the patience.
    """

    def __init__(self, url: str, model: str, form: Form, *, input_name: str, output_name: str) -> None:
        split = urlsplit(url)
        self._target = f"dns:///{split.netloc}"
        self._has_tls = split.scheme == "grpcs"
        self._model = model
        self._form = form
        self._input = input_name
        self._output = output_name

    @property
    def model(self) -> str:
        """See `ports.Generator.model`."""
        return self._model

    def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
        """See `ports.Generator.stream`."""
        string = self._form.write(prompt.messages)
        # A channel for each answer: one that Lambda froze finds out only by failing that the server has hung up.
        with closing(self._channel()) as channel:
            predict = channel.unary_unary(PREDICT, PredictRequest.SerializeToString, PredictResponse.FromString)
            try:
                answer = predict(self._request(string), timeout=patience.whole_seconds)
            except grpc.RpcError as error:
                raise _translated(error) from None
        yield from answer_of([_text(answer, self._output)], string, self._form.stop)

    def _channel(self) -> grpc.Channel:
        if self._has_tls:
            return grpc.secure_channel(self._target, grpc.ssl_channel_credentials(), _OPTIONS)
        return grpc.insecure_channel(self._target, _OPTIONS)

    def _request(self, string: str) -> object:
        request = PredictRequest()
        request.model_spec.name = self._model
        tensor = request.inputs.add(key=self._input).value
        tensor.dtype = DT_STRING
        tensor.tensor_shape.dim.add(size=1)
        tensor.string_val.append(string.encode(errors="replace"))
        return request


def _text(answer: PredictResponse, name: str) -> str:
    values = [value for entry in answer.outputs if entry.key == name for value in entry.value.string_val]
    if len(values) != 1:
        raise GenerationFailed(f"the generator's answer has no tensor {name} with one string in it")
    try:
        return str(values[0], "utf-8")
    except UnicodeDecodeError:  # without the cause, which holds what the server said
        raise GenerationFailed("the generator's answer is not text in UTF-8") from None


def _translated(error: grpc.RpcError) -> GenerationBusy | GenerationFailed:
    code = error.code()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return GenerationSlow("the generator takes longer than the turn may wait")
    if code in _BUSY and _TOO_LONG not in (error.details() or ""):
        return GenerationBusy(f"the generator has no capacity now ({code.name})")
    return GenerationFailed(f"the generator failed ({code.name})")
