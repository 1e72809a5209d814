"""Understanding an utterance: encoder, intents, entities. ONNX Runtime and numpy; no torch, no transformers."""
