"""Reading what builders and the engine inspector say of an engine's layers."""

from __future__ import annotations

import json

from trtcal_widgets import sample
from trtcal_widgets.model.load import load_graph
from trtcal_widgets.trt.check.layers import EngineLayer, layers_in_log, layers_of_inspector

LOG = (
    "Layers:\n"
    "Name: conv1_U16_myl0_1, LayerType: correlation, Inputs: [ { Name: a, Dimensions: [1,4,28,28], Strides: [1,2,3,4], "
    "StrideOrder: [3,0,2,1], Datatype: Int8, Format: (NHWC) Channel major format }], Constants: [ { Name: w, "
    "Dimensions: [20,4,5,5], Strides: [1,2,3,4], StrideOrder: [3,0,2,1], Datatype: Int8, Format: (NHWC) Channel major "
    "format }, { Name: s, Dimensions: [1], Strides: [1], StrideOrder: [0], Datatype: Float, Format: (Linear) Row major "
    "linear format }], Outputs: [ { Name: b, Dimensions: [1,20,24,24], Strides: [1,2,3,4], StrideOrder: [3,0,2,1], "
    "Datatype: Float, Format: (NHWC) Channel major format }], TacticName: __myelin_CASK_STUB, StreamId: 0, "
    "Metadata: [ONNX Layer: conv1]\x1f[ONNX Layer: data_DequantizeLinear]\n"
    "Name: __myl_MulAddMulMinMaxRounCast_myl0_2, LayerType: kgen, Inputs: [ { Name: b, Dimensions: [1], Strides: [1], "
    "StrideOrder: [0], Datatype: Float, Format: (Linear) Row major linear format }], Constants: [], Outputs: [ { Name: "
    "c, Dimensions: [1], Strides: [1], StrideOrder: [0], Datatype: Int8, Format: (Linear) Row major linear format }], "
    "TacticName: __myl_MulAddMulMinMaxRounCast_0xeb37, StreamId: 0, Metadata: [ONNX Layer: conv1]"
    "[ONNX Layer: pool1_Q]\n"
    "\n"
    "I/O Tensors:\n"
    " Name: data, IOMode: Input, DataType: Float\n"
)


def test_the_layers_of_a_log():
    convolution, rest = layers_in_log(["something else", LOG])
    assert convolution.nodes == ("conv1", "data_DequantizeLinear")
    assert (convolution.kind, convolution.inputs, convolution.constants) == (
        "correlation",
        ("int8",),
        ("int8", "fp32"),
    )
    assert convolution.multiplies
    assert convolution.runs_in == "int8"
    assert rest.nodes == ("conv1", "pool1_Q")
    assert not rest.multiplies
    assert rest.runs_in == "fp32"
    assert rest.outputs == ("int8",)


def test_a_log_without_layers_has_none():
    assert layers_in_log(["Layers", "Layer: Name: x", ""]) == ()


def kernel(tactic):
    return EngineLayer("l", "kgen", tactic, (), ("int8",), (), ())


def test_generated_kernels_multiply_where_their_name_says_so():
    assert kernel("_gemm_mha_v2_0xc9").multiplies
    assert kernel("__myl_MulAddReluMulMinMaxRounCastConcCorrMulAddMin_0x1f").multiplies
    assert not kernel("__myl_MulMinMaxRounCastConc_0x84").multiplies
    assert not kernel("__myl_MulAddReluMulMinMaxRounCastReshConcResh_0x34").multiplies


def test_the_inspectors_layers_have_the_nodes_of_the_model():
    """TensorRT 8.6 says no nodes: its layers are called after them."""
    graph = load_graph(sample.model_path())
    text = json.dumps(
        {
            "Layers": [
                {
                    "Name": "conv1",
                    "LayerType": "CaskConvolution",
                    "Inputs": [
                        {"Name": "data", "Format/Datatype": "Four wide channel vectorized row major Int8 format"}
                    ],
                    "Outputs": [{"Name": "conv1", "Format/Datatype": "Row major linear FP32"}],
                    "Weights": {"Type": "Int8", "Count": 500},
                    "TacticName": "sm80_xmma\nfprop",
                },
                {
                    "Name": "ip1_myl0_8",
                    "LayerType": "gemm",
                    "Inputs": [{"Name": "flatten", "Format/Datatype": "Half"}],
                    "Outputs": [],
                    "Metadata": "[ONNX Layer: ip1]\x1e[ONNX Layer: relu1]",
                },
            ]
        }
    ).replace("\\n", "\n")
    convolution, product = layers_of_inspector(text, graph)
    assert convolution.nodes == ("conv1",)
    assert (convolution.runs_in, convolution.outputs, convolution.constants) == ("int8", ("fp32",), ("int8",))
    assert product.nodes == ("ip1", "relu1")
    assert product.runs_in == "fp16"


def test_what_has_no_details_has_no_layers():
    graph = load_graph(sample.model_path())
    for text in ("", "[]", '{"Layers": ["a", "b"]}'):
        assert layers_of_inspector(text, graph) == ()
