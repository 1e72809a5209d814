"""A handler for TorchServe: the model `whole` answers at once in JSON, any other streams.

Source: TorchServe's documentation, "Custom service" and "Response streaming".
"""

from typing import Any

import scripted
from ts.handler_utils.utils import send_intermediate_predict_response


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[Any] | None:
    """What the scripted model says, or the rest of it."""
    if data is None:  # at the start, to see whether the handler loads
        return None
    body = data[0]["body"]
    said = scripted.pieces(body["prompt"] if isinstance(body, dict) else body.decode())
    if context.manifest["model"]["modelName"] == "whole":
        return [{"generated_text": "".join(said)}]
    for piece in said:
        send_intermediate_predict_response([piece], context.request_ids, "", 200, context)
    return [""]
