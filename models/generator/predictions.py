"""TensorFlow Serving's gRPC PredictionService in front of the generator: a string in, a string out.

Predict takes a tensor with one string, called as the client likes, and answers with a tensor of the same shape whose
name says `output` for `input`. The string is what a person said, or a whole conversation in the plain form that ends
with `Assistant:` (parley/generation/transcript.py writes it). GetModelMetadata tells the signature. Errors have the
statuses of TensorFlow Serving; a call that is cancelled, or whose deadline passes, stops its reply.

Source: tensorflow_serving/apis/prediction_service.proto
"""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import Any

import grpc
from engine import Busy, Engine, GenerationFailed, Request
from prediction_messages import (
    DT_STRING,
    SERVICE,
    SIGNATURES_URL,
    MetadataRequest,
    MetadataResponse,
    ModelSpec,
    PredictRequest,
    PredictResponse,
    Signatures,
)

SIGNATURE = "serving_default"
METHOD = "tensorflow/serving/predict"
VERSION = 1
INPUT, OUTPUT = "input_text", "output_text"
SPEAKERS = {"User": "user", "Assistant": "assistant"}
SAYS = re.compile(r"(?:^|\n)(User|Assistant): ?")


class Refused(Exception):
    """The call cannot be served; carries the status that says why."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


async def start(engine: Engine, model: str, address: str) -> grpc.aio.Server:
    """The server, listening.

    Raises:
        RuntimeError: the address is taken.
    """
    service = PredictionService(engine, model)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])  # two servers on one port would share its calls
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                SERVICE,
                {
                    "Predict": _handler(service.predict, PredictRequest),
                    "GetModelMetadata": _handler(service.metadata, MetadataRequest),
                },
            )
        ]
    )
    server.add_insecure_port(address)
    await server.start()
    return server


def _handler(answer: Any, request: Any) -> grpc.RpcMethodHandler:
    async def handle(message: Any, context: grpc.aio.ServicerContext) -> Any:
        try:
            return await answer(message)
        except Refused as refused:
            await context.abort(refused.code, str(refused))

    return grpc.unary_unary_rpc_method_handler(
        handle, request_deserializer=request.FromString, response_serializer=lambda sent: sent.SerializeToString()
    )


class PredictionService:
    """The two calls; each raises Refused."""

    def __init__(self, engine: Engine, model: str) -> None:
        self._engine = engine
        self._model = model

    async def predict(self, request: Any) -> Any:
        """A reply to the string."""
        self._check(request.model_spec)
        name, tensor = input_of(request)
        reply = await self._reply(text_of(tensor))
        response = PredictResponse(model_spec=self._spec())
        output = response.outputs.add(key=name.replace("input", "output") if "input" in name else OUTPUT).value
        output.dtype = DT_STRING
        output.tensor_shape.CopyFrom(tensor.tensor_shape)
        output.string_val.append(reply.encode())
        return response

    async def metadata(self, request: Any) -> Any:
        """The signature."""
        self._check(request.model_spec)
        if list(request.metadata_field) != ["signature_def"]:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "metadata_field must be signature_def")
        signatures = Signatures()
        signature = signatures.signature_def.add(key=SIGNATURE).value
        signature.method_name = METHOD
        for tensors, name in ((signature.inputs, INPUT), (signature.outputs, OUTPUT)):
            tensor = tensors.add(key=name).value
            tensor.name = f"{name}:0"
            tensor.dtype = DT_STRING
            tensor.tensor_shape.dim.add(size=-1)
        response = MetadataResponse(model_spec=self._spec())
        described = response.metadata.add(key="signature_def").value
        described.type_url, described.value = SIGNATURES_URL, signatures.SerializeToString()
        return response

    def _check(self, spec: Any) -> None:
        if spec.name != self._model or (spec.HasField("version") and spec.version.value != VERSION):
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Servable not found; {self._model} {VERSION} is served")
        if spec.signature_name not in ("", SIGNATURE):
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"the only signature is {SIGNATURE}")

    def _spec(self) -> Any:
        spec = ModelSpec(name=self._model, signature_name=SIGNATURE)
        spec.version.value = VERSION
        return spec

    async def _reply(self, said: str) -> str:
        try:
            async with aclosing(self._engine.stream(Request(messages_of(said)))) as pieces:
                return "".join([piece.text async for piece in pieces])
        except Busy as error:
            raise Refused(grpc.StatusCode.UNAVAILABLE, "no capacity: too many requests are waiting") from error
        except GenerationFailed as error:
            raise Refused(grpc.StatusCode.INTERNAL, str(error)) from error


def input_of(request: Any) -> tuple[str, Any]:
    """The one tensor of a request, and its name.

    Raises:
        Refused: there are more or none.
    """
    if len(request.inputs) != 1:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"the signature has one input, {INPUT}")
    return request.inputs[0].key, request.inputs[0].value


def text_of(tensor: Any) -> str:
    """The one string of a tensor.

    Raises:
        Refused: it holds more or something else, or no text in UTF-8.
    """
    if tensor.dtype != DT_STRING or len(tensor.string_val) != 1:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "the input must be a tensor with one string")
    try:
        return str(tensor.string_val[0], "utf-8")
    except UnicodeDecodeError as error:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "the input is not UTF-8") from error


def messages_of(said: str) -> tuple[tuple[str, str], ...]:
    """A conversation in the plain form as messages; anything else as what a person says."""
    instructions, *turns = SAYS.split(said.rstrip())
    spoken = [(SPEAKERS[speaker], content) for speaker, content in zip(turns[::2], turns[1::2], strict=True)]
    match spoken:
        case [*before, ("user", question), ("assistant", "")]:
            system = [("system", instructions.strip())] if instructions.strip() else []
            return (*system, *before, ("user", question))
    return (("user", said),)
