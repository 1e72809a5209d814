"""TensorFlow Serving's PredictionService by its official stubs, with the scripted model as `llm_chatbot`.

    python tensorflow_serving_server.py PORT

Answers as the model server does: the errors are those of TensorFlow Serving 2.
"""

import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import scripted
import tensorflow as tf
from tensorflow_serving.apis import prediction_service_pb2_grpc
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse


class Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    """One model with one signature: a string in, a string out."""

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:  # noqa: N802
        spec = request.model_spec
        if spec.name != "llm_chatbot":
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({spec.name})")
        if spec.signature_name not in ("", "serving_default"):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"Serving signature name: {spec.signature_name}")
        if set(request.inputs) != {"input_text"}:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "input size does not match signature")
        (text,) = tf.make_ndarray(request.inputs["input_text"])
        try:
            said = "".join(scripted.pieces(text.decode()))
        except RuntimeError as error:
            context.abort(grpc.StatusCode.INTERNAL, str(error))
        response = PredictResponse()
        response.model_spec.name = spec.name
        response.outputs["output_text"].CopyFrom(tf.make_tensor_proto([said.encode()]))
        response.outputs["tokens"].CopyFrom(tf.make_tensor_proto([len(said)]))
        return response


if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(4), maximum_concurrent_rpcs=2)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Predictions(), server)
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    print("ready", flush=True)
    signal.pause()
