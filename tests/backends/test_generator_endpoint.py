"""The bundled generator's own endpoint, asked by a TensorFlow Serving client with the official stubs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from backends import ENVIRONMENTS
from tests.models.generator.conftest import free_port, server

pytestmark = pytest.mark.backends

CLIENT = """
import json, sys
import grpc
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(sys.argv[1]))
request = predict_pb2.PredictRequest()
request.model_spec.name = "llm_chatbot"
request.model_spec.signature_name = "serving_default"
request.inputs["input_text"].CopyFrom(tf.make_tensor_proto(["Hello, how are you?"]))
(reply,) = tf.make_ndarray(stub.Predict(request, 20.0).outputs["output_text"])

asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
asked.model_spec.name = "llm_chatbot"
signatures = get_model_metadata_pb2.SignatureDefMap()
stub.GetModelMetadata(asked, 20.0).metadata["signature_def"].Unpack(signatures)
signature = signatures.signature_def["serving_default"]
print(json.dumps({"reply": reply.decode(), "inputs": list(signature.inputs), "outputs": list(signature.outputs)}))
"""


@pytest.fixture
def address() -> Iterator[str]:
    port = free_port()
    with server("serve.py", "--grpc-port", str(port)):
        yield f"127.0.0.1:{port}"


def test_a_tensorflow_serving_client_gets_a_reply_and_the_signature(address: str) -> None:
    python = ENVIRONMENTS / "tensorflow_serving" / "bin" / "python"

    client = subprocess.run([python, "-c", CLIENT, address], capture_output=True, text=True, timeout=100, check=False)

    assert client.returncode == 0, client.stderr
    told = json.loads(client.stdout)
    assert told["reply"].strip()
    assert (told["inputs"], told["outputs"]) == (["input_text"], ["output_text"])
