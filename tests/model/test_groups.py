"""Shared scales and passed values against the scales that real TensorRT releases wrote.

The chains are what the exporters of these models make; the names in the caches carry operator and place.
"""

from __future__ import annotations

import json
import re

import pytest

from tests.support.graphs import const, node, save, value
from tests.support.shared import shared_path
from trtcal_widgets.model.kinds import passes_values, shares_scale
from trtcal_widgets.model.load import load_graph

YOLO11, YOLOV8 = "yolo11.TRT-101200.cache", "yolov8.TRT-101401.cache"
DIFFUSION, VGG, PRELU = (
    "diffusion.TRT-8601.cache",
    "vgg16-cifar10.TRT-8400-minmax.cache",
    "unet-prelu.TRT-8001.cache",
)


def rows(cache):
    lines = shared_path("data", "caches", cache).read_text("utf-8").splitlines()[1:]
    return {name: scale for name, _, scale in (line.rpartition(": ") for line in lines) if name}


def op_of(name):
    """``/model.9/m_1/MaxPool_output_0`` -> MaxPool."""
    return re.sub(r"(_\d+)?_output_\d+$", "", name.rpartition("/")[2])


CHAINS = [
    *(
        (
            cache,
            f"{sppf}/cv1/act/Mul_output_0",
            [f"{sppf}/{m}/MaxPool_output_0" for m in ("m", "m_1", "m_2")],
        )
        for cache, sppf in ((YOLO11, "/model.9"), (YOLOV8, "/model.9"))
    ),
    (YOLO11, "/model.10/cv2/act/Mul_output_0", ["/model.11/Resize_output_0"]),
    (YOLO11, "/model.13/cv2/act/Mul_output_0", ["/model.14/Resize_output_0"]),
    (YOLOV8, "/model.9/cv2/act/Mul_output_0", ["/model.10/Resize_output_0"]),
    (YOLOV8, "/model.12/cv2/act/Mul_output_0", ["/model.13/Resize_output_0"]),
    *(
        (YOLO11, f"/model.10/m/m.0/attn/{source}", [f"/model.10/m/m.0/attn/{target}"])
        for source, target in (
            ("qkv/conv/Conv_output_0", "Reshape_output_0"),
            ("Split_output_0", "Transpose_output_0"),
            ("Split_output_2", "Reshape_2_output_0"),
            ("Softmax_output_0", "Transpose_1_output_0"),
            ("MatMul_1_output_0", "Reshape_1_output_0"),
        )
    ),
    *(
        (YOLOV8, source, [f"/model.22/dfl/{target}" for target in targets])
        for source, targets in (
            ("/model.22/Split_1_output_0", ("Reshape_output_0", "Transpose_output_0")),
            ("/model.22/dfl/Softmax_output_0", ("Transpose_1_output_0",)),
            ("/model.22/dfl/conv/Conv_output_0", ("Reshape_1_output_0",)),
        )
    ),
    *(
        (DIFFUSION, f"/decoder/layers.{layer}/{source}", [f"/decoder/layers.{layer}/{t}" for t in targets])
        for layer in range(6)
        for source, targets in (
            ("norm1/LayerNormalization_output_0", ["self_attn/Transpose_output_0"]),
            (
                "self_attn/Add_output_0",
                [f"self_attn/{t}_output_0" for t in ("Reshape_2", "Unsqueeze", "Transpose_1", "Squeeze")],
            ),
            (
                "self_attn/Gather_output_0",
                ["self_attn/Reshape_3_output_0", "self_attn/Transpose_2_output_0"],
            ),
            (
                "self_attn/MatMul_2_output_0",
                ["self_attn/Transpose_6_output_0", "self_attn/Reshape_9_output_0"],
            ),
            (
                "self_attn/Gemm_output_0",
                ["self_attn/Reshape_10_output_0", "self_attn/Transpose_7_output_0"],
            ),
        )
    ),
]


@pytest.mark.parametrize(("cache", "source", "targets"), CHAINS)
def test_what_passes_values_on_was_seen_with_one_row(cache, source, targets):
    scales = rows(cache)
    assert {scales[name] for name in (source, *targets)} == {scales[source]}
    assert all(passes_values(op_of(name), "", {"mode": "nearest"}) for name in targets)


@pytest.mark.parametrize(
    ("cache", "source", "target"),
    [
        (YOLOV8, "/model.9/cv1/act/Mul_output_0", "/model.9/Concat_output_0"),
        (YOLO11, "/model.10/cv2/act/Mul_output_0", "/model.12/Concat_output_0"),
        (YOLO11, "/model.2/cv1/act/Mul_output_0", "/model.2/Split_output_1"),
        (YOLO11, "/model.10/m/m.0/attn/Reshape_output_0", "/model.10/m/m.0/attn/Split_output_0"),
        (
            DIFFUSION,
            "/decoder/layers.0/self_attn/Squeeze_output_0",
            "/decoder/layers.0/self_attn/Gather_output_0",
        ),
        (YOLOV8, "/model.22/dfl/Reshape_1_output_0", "/model.22/Slice_1_output_0"),
    ],
)
def test_what_was_seen_to_differ_neither_shares_nor_passes_values_on(cache, source, target):
    scales = rows(cache)
    assert scales[source] != scales[target]
    assert not passes_values(op_of(target), "", {})
    assert not shares_scale(op_of(target), "")


def test_constant_and_its_shuffle_were_seen_equal():
    pairs = 0
    for cache in (PRELU, DIFFUSION, VGG):
        scales = rows(cache)
        for name, scale in scales.items():
            match = re.fullmatch(r"\(Unnamed Layer\* (\d+)\) \[Constant\]_output", name)
            shuffle = match and f"(Unnamed Layer* {int(match[1]) + 1}) [Shuffle]_output"
            if shuffle in scales:
                assert scales[shuffle] == scale
                pairs += 1
    assert pairs > 100
    # A matrix product's weight and its transpose (346), in VGG's classifier.
    assert rows(VGG)["(Unnamed Layer* 46) [Constant]_output"] == rows(VGG)["346"]


@pytest.mark.parametrize(
    ("op_type", "attributes", "passing"),
    [
        ("MaxPool", {}, True),
        ("Resize", {}, True),  # nearest is the default
        ("Resize", {"mode": "nearest"}, True),
        ("Resize", {"mode": "linear"}, False),
        ("Resize", {"mode": "cubic"}, False),
        ("Resize", {"coordinate_transformation_mode": "tf_crop_and_resize"}, False),
        ("Upsample", {"mode": "nearest"}, True),
        ("Upsample", {"mode": "linear"}, False),
        *((op, {}, True) for op in ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze")),
        *((op, {}, True) for op in ("Identity", "Dropout", "DepthToSpace", "SpaceToDepth")),
        *((op, {}, False) for op in ("Concat", "Slice", "Split", "Gather", "Relu", "AveragePool")),
        *((op, {}, False) for op in ("GlobalMaxPool", "Expand", "Cast", "Add", "Sigmoid", "Pad")),
    ],
)
def test_what_passes_values_on(op_type, attributes, passing):
    assert passes_values(op_type, "", attributes) is passing
    assert not passes_values(op_type, "com.example", attributes)


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
def test_pools_share_their_input_s_scale(op_type):
    assert shares_scale(op_type, "")
    assert not shares_scale(op_type, "com.example")


def float_rows(case):
    document = json.loads(shared_path("data", "trt86", "operators", f"{case}.json").read_text("utf-8"))
    return [
        {name: scale for name, _, scale in (line.rpartition(": ") for line in document[a]["cache"].splitlines()[1:])}
        for a in ("entropy2", "minmax")
    ]


def test_tensorrt_gave_grouped_tensors_one_scale():
    found = 0
    for path in sorted(shared_path("data", "trt86", "operators").glob("*.onnx")):
        graph = load_graph(path)
        found += len(graph.groups)
        for rows in float_rows(path.stem):
            assert all(len({rows[name] for name in group}) == 1 for group in graph.groups), path.stem
    assert found > 30


@pytest.mark.parametrize(
    ("case", "source", "target"),
    [
        ("mp_resize_nearest_0_5", "p", "b"),
        ("reshape_after_maxpool", "p", "f"),
        ("flat_after_maxpool", "p", "f"),
        ("transpose_after_maxpool", "p", "t"),
        ("mp_dropout", "p", "b"),
        ("mp_unsq_sq", "p", "u"),
        ("mp_gmp", "p", "b"),
        ("mp_reducemax", "p", "b"),
        ("cv_resize_nearest_0_5", "c", "b"),
    ],
)
def test_nothing_but_a_pool_shares(case, source, target):
    graph = load_graph(shared_path("data", "trt86", "operators", f"{case}.onnx"))
    entropy, _ = float_rows(case)
    assert entropy[source] != entropy[target]
    assert target not in graph.group_of(source)


def test_groups_run_through_chains_and_start_upstream(tmp_path):
    path = save(
        tmp_path / "chains.onnx",
        [
            node("Conv", ["x", "w"], ["c"]),
            node("MaxPool", ["c"], ["p", "indices"], kernel_shape=[1, 1]),
            node("AveragePool", ["p"], ["mean"], kernel_shape=[2, 2]),
            node("Resize", ["p", "", "scales"], ["up"], mode="nearest"),
            node("Relu", ["c"], ["r"]),
            node("Transpose", ["r"], ["t"]),
            node("Reshape", ["c", "shape"], ["flat"]),
            node("Resize", ["r", "", "scales"], ["smooth"], mode="linear"),
            node("Unsqueeze", ["k", "axis"], ["k4"]),
            node("Add", ["up", "k4"], ["sum"]),
        ],
        [value("x", (1, 3, 4, 4))],
        [value(name, None) for name in ("sum", "t", "flat", "smooth", "mean")],
        [
            const("w", [[[[1]], [[1]], [[1]]]]),
            const("scales", [1, 1, 2, 2]),
            const("shape", [1, -1], "int64"),
            const("k", [1, 2, 3]),
            const("axis", [0, 1], "int64"),
        ],
    )
    graph = load_graph(path)
    assert graph.groups == (("c", "p", "mean"),)
    assert graph.group_of("mean")[0] == "c"
    assert graph.passing == (("c", "p", "up", "flat"), ("r", "t"), ("k", "k4"))
    assert graph.relatives("flat")[0] == "c"
    assert graph.relatives("mean") == ("mean",)
    assert graph.group_of("smooth") == ("smooth",)


def test_a_pool_of_rank_3_stands_between_two_shuffles(tmp_path):
    """TensorRT pools no fewer than two axes: what it pools has a name of its own, and the result its own values."""
    pools = [node("MaxPool", ["x"], ["p"], kernel_shape=[2])]
    path = save(tmp_path / "pool1d.onnx", pools, [value("x", (1, 3, 8))], [value("p", None)])
    assert load_graph(path).groups == ()


def test_integers_and_weights_have_no_group(tmp_path):
    path = save(
        tmp_path / "ints.onnx",
        [
            node("Shape", ["x"], ["s"]),
            node("Squeeze", ["s"], ["s1"]),
            node("Identity", ["w"], ["w1"]),
            node("Conv", ["x", "w1"], ["y"]),
        ],
        [value("x", (1, 3, 4, 4))],
        [value("y", None), value("s1", None, 7)],
        [const("w", [[[[1]], [[1]], [[1]]]])],
    )
    assert load_graph(path).groups == ()
