"""What runs a model and gives its tensors away: ONNX Runtime here, TensorRT in :mod:`trtcal_widgets.trt`."""
