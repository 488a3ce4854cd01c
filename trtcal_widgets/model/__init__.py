"""ONNX models: facts, shared-scale groups, constants, and copies with more outputs."""
