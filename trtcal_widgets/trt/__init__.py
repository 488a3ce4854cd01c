"""TensorRT: calibrators, engines, and FP32 activations from the GPU. TensorRT is imported when it is used."""

from __future__ import annotations
