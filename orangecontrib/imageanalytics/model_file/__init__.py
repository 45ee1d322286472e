"""What an ONNX file says of itself, and a session of onnxruntime that computes it."""
