"""Device memory over three bindings of the CUDA driver, and the histogram in CUDA. TensorRT is not needed."""
