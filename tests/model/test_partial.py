"""The part downstream of a change gives what the whole changed model gives."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models import ocr_model
from trtcal_widgets import sample
from trtcal_widgets.export.qdq import QdqBuilder
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.load import load_model
from trtcal_widgets.model.ort import open_session
from trtcal_widgets.model.partial import downstream_part
from trtcal_widgets.model.tap import with_outputs


def run(proto, folder, names, feeds):
    present = {info.name for info in proto.graph.output}
    session = open_session(with_outputs(proto, [n for n in names if n not in present]), folder, name="test")
    wanted = {info.name for info in proto.graph.input}
    return dict(zip(names, session.run(names, {n: feeds[n] for n in wanted}), strict=True))


def scales_of(model, feeds):
    names = [t.name for t in model.graph.tensors.values() if t.kind is TensorKind.ACTIVATION and t.is_float]
    values = {**run(model.proto, model.path.parent, names, feeds), **feeds}
    return {n: max(float(np.abs(v).max()), 1e-3) / 127 for n, v in values.items()}


def check(path, feeds, nodes):
    model = load_model(path)
    builder = QdqBuilder(model, scales_of(model, feeds))
    base = builder.build(only=()).proto
    dtypes = {t.name: t.dtype for t in model.graph.tensors.values()}
    made = [t.name for t in model.graph.tensors.values() if t.kind is TensorKind.ACTIVATION]
    outputs = [t.name for t in model.graph.outputs]
    fp32 = {**run(base, path.parent, made, feeds), **feeds}
    sizes = []
    for node in nodes(model.graph):
        changed = builder.build(only={node}).proto
        part = downstream_part(base, changed, dtypes, outputs)
        assert part is not None
        sizes.append(len(part.proto.graph.node))
        found = run(part.proto, path.parent, list(part.outputs), {n: fp32[n] for n in part.inputs})
        whole = run(changed, path.parent, outputs, feeds)
        for name in part.outputs:
            np.testing.assert_array_equal(found[name], whole[name])
            assert not np.array_equal(whole[name], fp32[name])
    assert sizes == sorted(sizes, reverse=True), "a later layer has less behind it"
    assert sizes[-1] < len(base.graph.node)


def test_lenet_layer_by_layer():
    images = sample.test_images().load(0, 20)
    feeds = {"data": next(iter(images.values()))}
    check(sample.model_path(), feeds, lambda graph: [n.name for n in graph.nodes if n.op_type in ("Conv", "Gemm")])


@pytest.mark.models
def test_the_ocr_classifier_with_branches():
    feeds = {"x": np.random.default_rng(3).random((2, 3, 48, 192)).astype(np.float32)}
    check(
        ocr_model("cls"),
        feeds,
        lambda graph: [n.name for n in graph.nodes if n.op_type in ("Conv", "MatMul")][::12],
    )


def test_no_change_and_changes_behind_the_wanted_tensors_need_no_part():
    model = load_model(sample.model_path())
    builder = QdqBuilder(model, dict.fromkeys(model.graph.calibrated, 0.01))
    base = builder.build(only=()).proto
    dtypes = {t.name: t.dtype for t in model.graph.tensors.values()}
    assert downstream_part(base, builder.build(only=()).proto, dtypes, ["prob"]) is None
    assert downstream_part(base, builder.build(only={"ip2"}).proto, dtypes, ["conv1", "pool2"]) is None
