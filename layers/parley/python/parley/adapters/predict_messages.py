"""The few messages of TensorFlow Serving's PredictionService that carry one string there and back.

Written down here, because the official stubs drag in all of TensorFlow. Fields that are
not named are skipped by protobuf. Source: tensorflow_serving/apis/{predict,model}.proto
and tensorflow/core/framework/{tensor,tensor_shape,types}.proto.
"""

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PREDICT = "/tensorflow.serving.PredictionService/Predict"
DT_STRING = 7

_PACKAGE = "parley.predict"  # the wire carries numbers, not names
_F = FieldDescriptorProto

# message -> (field, number, type, repeated)
_MESSAGES: dict[str, list[tuple[str, int, Any, bool]]] = {
    "Dim": [("size", 1, _F.TYPE_INT64, False)],
    "Shape": [("dim", 2, "Dim", True)],
    "Tensor": [
        ("dtype", 1, _F.TYPE_INT32, False),  # an enum, which is the same on the wire
        ("tensor_shape", 2, "Shape", False),
        ("string_val", 8, _F.TYPE_BYTES, True),
    ],
    "ModelSpec": [("name", 1, _F.TYPE_STRING, False)],
    # A map is a list of entries on the wire.
    "Entry": [("key", 1, _F.TYPE_STRING, False), ("value", 2, "Tensor", False)],
    "PredictRequest": [("model_spec", 1, "ModelSpec", False), ("inputs", 2, "Entry", True)],
    "PredictResponse": [("outputs", 1, "Entry", True)],
}


def _classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="parley_predict.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        file.message_type.append(DescriptorProto(name=name, field=[_field(*field) for field in fields]))
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


def _field(name: str, number: int, kind: Any, is_repeated: bool) -> FieldDescriptorProto:
    label = _F.LABEL_REPEATED if is_repeated else _F.LABEL_OPTIONAL
    if isinstance(kind, str):
        return _F(name=name, number=number, label=label, type=_F.TYPE_MESSAGE, type_name=f".{_PACKAGE}.{kind}")
    return _F(name=name, number=number, label=label, type=kind)


_OF = _classes()
PredictRequest: Any = _OF["PredictRequest"]
PredictResponse: Any = _OF["PredictResponse"]
