"""The messages of TensorFlow Serving's PredictionService that a model of strings needs.

Written down here, because the official stubs drag in all of TensorFlow; the wire carries numbers, not names. Fields
that are not named are skipped by protobuf.

Source: tensorflow_serving/apis/{predict,model,get_model_metadata}.proto, tensorflow/core/protobuf/meta_graph.proto and
tensorflow/core/framework/{tensor,tensor_shape,types}.proto
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

SERVICE = "tensorflow.serving.PredictionService"
SIGNATURES_URL = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
DT_STRING = 7

PACKAGE = "parley.generator"
_F = FieldDescriptorProto
# An enum is an integer on the wire, a map is a list of entries, and a one-of is its fields.
MESSAGES: dict[str, dict[str, tuple[int, int | str, bool]]] = {  # message -> field -> (number, type, is repeated)
    "Dim": {"size": (1, _F.TYPE_INT64, False)},
    "Shape": {"dim": (2, "Dim", True), "unknown_rank": (3, _F.TYPE_BOOL, False)},
    "Tensor": {
        "dtype": (1, _F.TYPE_INT32, False),
        "tensor_shape": (2, "Shape", False),
        "string_val": (8, _F.TYPE_BYTES, True),
    },
    "Version": {"value": (1, _F.TYPE_INT64, False)},
    "ModelSpec": {
        "name": (1, _F.TYPE_STRING, False),
        "version": (2, "Version", False),
        "signature_name": (3, _F.TYPE_STRING, False),
    },
    "TensorOf": {"key": (1, _F.TYPE_STRING, False), "value": (2, "Tensor", False)},
    "PredictRequest": {"model_spec": (1, "ModelSpec", False), "inputs": (2, "TensorOf", True)},
    "PredictResponse": {"outputs": (1, "TensorOf", True), "model_spec": (2, "ModelSpec", False)},
    "TensorInfo": {
        "name": (1, _F.TYPE_STRING, False),
        "dtype": (2, _F.TYPE_INT32, False),
        "tensor_shape": (3, "Shape", False),
    },
    "TensorInfoOf": {"key": (1, _F.TYPE_STRING, False), "value": (2, "TensorInfo", False)},
    "Signature": {
        "inputs": (1, "TensorInfoOf", True),
        "outputs": (2, "TensorInfoOf", True),
        "method_name": (3, _F.TYPE_STRING, False),
    },
    "SignatureOf": {"key": (1, _F.TYPE_STRING, False), "value": (2, "Signature", False)},
    "Signatures": {"signature_def": (1, "SignatureOf", True)},
    "Any": {"type_url": (1, _F.TYPE_STRING, False), "value": (2, _F.TYPE_BYTES, False)},
    "AnyOf": {"key": (1, _F.TYPE_STRING, False), "value": (2, "Any", False)},
    "MetadataRequest": {"model_spec": (1, "ModelSpec", False), "metadata_field": (2, _F.TYPE_STRING, True)},
    "MetadataResponse": {"model_spec": (1, "ModelSpec", False), "metadata": (2, "AnyOf", True)},
}


def _classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="parley_generator.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        described = [_field(field, *how) for field, how in fields.items()]
        file.message_type.append(DescriptorProto(name=name, field=described))
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}


def _field(name: str, number: int, kind: int | str, is_repeated: bool) -> FieldDescriptorProto:
    field = _F(name=name, number=number, label=_F.LABEL_REPEATED if is_repeated else _F.LABEL_OPTIONAL)
    if isinstance(kind, str):
        field.type, field.type_name = _F.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    else:
        field.type = kind
    return field


_OF = _classes()
ModelSpec: Any = _OF["ModelSpec"]
PredictRequest: Any = _OF["PredictRequest"]
PredictResponse: Any = _OF["PredictResponse"]
Signatures: Any = _OF["Signatures"]
MetadataRequest: Any = _OF["MetadataRequest"]
MetadataResponse: Any = _OF["MetadataResponse"]
