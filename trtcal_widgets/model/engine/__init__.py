"""What an engine says of itself, in the words of the ONNX model that it was built from."""
