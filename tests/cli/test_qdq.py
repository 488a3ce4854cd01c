from __future__ import annotations

import json

import onnx
import pytest

from tests.export.test_port import distinct, renamed
from trtcal_widgets import sample
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.model.plan import PrecisionPlan


@pytest.fixture
def cache(tmp_path):
    distinct(sample.model_path()).write(tmp_path / "c.cache")
    return tmp_path / "c.cache"


def test_a_cache_becomes_a_qdq_model(trtcal, cache, tmp_path):
    PrecisionPlan(keep=("ip2",)).save(tmp_path / "plan.json")
    result = trtcal(
        "convert", cache, "--model", sample.model_path(), "--to", "qdq", "-o", tmp_path / "q.onnx",
        "--plan", tmp_path / "plan.json", "--report", tmp_path / "r.json", "--placement", "weights-only-inputs",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    onnx.checker.check_model(str(tmp_path / "q.onnx"), full_check=True)
    for text in ("pool1: scale", "prob: ", "kept by the plan (1):", "ip2 (Gemm)", "weights-only-inputs", "written: "):
        assert text in result.out
    report = json.loads((tmp_path / "r.json").read_text())
    assert [t["name"] for t in report["quantized"] if not t["is_weight"]] == ["data", "pool1", "flatten"]
    again = trtcal("convert", cache, "--model", sample.model_path(), "--to", "qdq", "-o", tmp_path / "q.onnx")
    assert again.code == 0  # an earlier result is replaced without asking


def test_what_is_refused(trtcal, cache, tmp_path):
    model = tmp_path / "m.onnx"
    model.write_bytes(sample.model_path().read_bytes())
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    base = ["convert", cache, "--to", "qdq"]
    for arguments, said in (
        ([*base, "-o", tmp_path / "q.onnx"], "add --model"),
        ([*base, "--model", model, "-o", model], "is a file that is read"),
        ([*base, "--model", model, "-o", cache], "is a file that is read"),
        ([*base, "--model", model, "-o", tmp_path / "q", "--trt-version", "8.6.1"], "header of a cache"),
        ([*base, "--model", cache, "-o", tmp_path / "q.onnx"], "is not an ONNX model"),
        (["convert", cache, "--to", "json", "--model", model, "-o", tmp_path / "j"], "--model is for --to qdq"),
    ):
        result = trtcal(*arguments)
        assert result.code == 2
        assert said in result.err
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_model_that_has_qdq_is_not_written_again(trtcal, cache, tmp_path):
    trtcal("convert", cache, "--model", sample.model_path(), "--to", "qdq", "-o", tmp_path / "q.onnx")
    result = trtcal("convert", cache, "--model", tmp_path / "q.onnx", "--to", "qdq", "-o", tmp_path / "qq.onnx")
    assert result.code == 2
    assert "already has explicit quantisation" in result.err
    assert not (tmp_path / "qq.onnx").exists()


def test_port_and_then_convert(trtcal, cache, tmp_path):
    names = renamed(sample.model_path(), tmp_path / "new.onnx")
    refused = trtcal("convert", cache, "--model", tmp_path / "new.onnx", "--to", "qdq", "-o", tmp_path / "q.onnx")
    assert refused.code == 2
    assert "trtcal port" in refused.err
    ported = trtcal(
        "port", sample.model_path(), tmp_path / "new.onnx", cache, "-o", tmp_path / "n.cache", "--json", tmp_path / "r"
    )
    assert (ported.code, ported.err) == (0, "")
    assert "10 of 10 rows carried over" in ported.out
    old, new = (CalibrationCache.read(tmp_path / name).scales for name in ("c.cache", "n.cache"))
    assert {names[name]: scale for name, scale in old.items()} == dict(new)
    assert len(json.loads((tmp_path / "r").read_text())["ported"]) == 10
    done = trtcal(
        "convert", tmp_path / "n.cache", "--model", tmp_path / "new.onnx", "--to", "qdq", "-o", tmp_path / "q.onnx"
    )
    assert done.code == 0
