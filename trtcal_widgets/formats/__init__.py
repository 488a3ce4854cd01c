"""TensorRT's calibration cache and its neighbours: bytes to scales and back, without losing a byte."""
