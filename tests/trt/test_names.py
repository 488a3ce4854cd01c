"""How a build from a session names the rows of constants: as the network that was parsed does."""

from __future__ import annotations

import numpy as np
import pytest

from tests.model.test_rows import model
from tests.support import trt_fake_network
from trtcal_widgets.session import CalibrationSession
from trtcal_widgets.trt.building import build

EIGHT = "(Unnamed Layer* 1) [Constant]_output"
DATA = np.random.default_rng(1).standard_normal((4, 1, 4, 4)).astype(np.float32)


@pytest.fixture
def session(tmp_path):
    with CalibrationSession(model(tmp_path / "m.onnx"), DATA, batch_size=1) as session:
        session.run()
        yield session


@pytest.mark.parametrize(("version", "row"), [("10.0.0", "bias_output"), ("10.16.1", "bias_output"), ("8.6.1", EIGHT)])
def test_a_cache_has_the_constants_row_where_that_release_looks_for_it(session, version, row):
    assert set(session.to_cache(version=version).scales) == {"x", row, "c", "s", "y"}
    assert list(session.to_cache(version=version, rows=["bias"]).scales) == [row]


@pytest.mark.parametrize(
    ("release", "theirs"),
    [("10.16.1.11", "bias_output"), ("10.0.1", "bias_output_7"), ("8.6.1", EIGHT)],
)
def test_the_network_itself_says_how_its_constants_are_called(plug, monkeypatch, session, tmp_path, release, theirs):
    machine = plug(release)
    parse = trt_fake_network._parse

    def parse_with_constant(trt, machine, network, proto, path):
        parse(trt, machine, network, proto, path)
        tensor = trt.ITensor(theirs, trt.DataType.FLOAT, (1, 2, 1, 1))
        network._layers.append(trt.ILayer("bias", [tensor], ""))
        node = trt.ITensor("c", trt.DataType.FLOAT, (1, 2, 4, 4))
        network._layers.append(trt.ILayer("c", [node], ""))

    monkeypatch.setattr(trt_fake_network, "_parse", parse_with_constant)
    engine = build(tmp_path / "m.onnx", session=session)
    (spec,) = machine.built
    assert spec["scales"][theirs] == pytest.approx(float(np.float32(7 * 2048.5 / 2048) / np.float32(127)), rel=1e-3)
    assert set(spec["scales"]) == {"x", "c", "s", "y", theirs}
    assert engine.provenance["scales"]["cache_report"].endswith("fits")
