"""The pages show what was measured: their tables are those that the script makes of the results."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.support.inspected import FP32, INT8, inspector_text
from tests.support.minilm import minilm_model
from tests.support.models import ocr_model
from tools import engine_layers, write_engine_tables
from trtcal_widgets import sample
from trtcal_widgets.model.load import load_graph

ROOT = Path(write_engine_tables.__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("name", "page", "table"),
    [
        ("placements", "qdq.md", write_engine_tables.placements_table),
        ("simulated", "debugging.md", write_engine_tables.simulated_table),
    ],
)
def test_the_page_has_the_table_of_the_results(name, page, table):
    results = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))
    shown = (ROOT / "docs" / page).read_text("utf-8")
    wanted = f"<!-- results: {name} -->\n" + "\n".join(table(results)) + "\n<!-- end -->"
    assert wanted in shown, "run python tools/write_engine_tables.py"


@pytest.mark.models
def test_the_page_names_the_layers_that_differ_and_what_the_rules_place_now():
    for name in ("cls", "rec", "det"):
        ocr_model(name)  # skips where they cannot be fetched
    minilm_model()
    test_the_page_has_the_table_of_the_results("layers", "qdq.md", engine_layers.layers_table)


def test_layers_of_an_engine_that_read_int8_and_those_of_one_engine_alone():
    graph = load_graph(sample.model_path())
    implicit = inspector_text([
        ("Reformatting CopyNode for Input Tensor 0 to conv1", "Reformat", {"data": FP32}, {"data'": INT8}),
        ("conv1", "CaskConvolution", {"data'": INT8}, {"conv1": INT8}),
        ("pool1", "CaskPooling", {"conv1": INT8}, {"pool1": FP32}),
        ("ip1 + relu1", "CaskConvolution", {"flatten": FP32}, {"relu1": FP32}),
    ])  # fmt: skip
    explicit = inspector_text([
        ("conv1", "CaskConvolution", {"data": FP32}, {"conv1": FP32}),
        ("ip1 + relu1", "CaskConvolution", {"flatten": INT8}, {"relu1": FP32}),
    ])  # fmt: skip
    there, here = (engine_layers.int8_layers(text, graph) for text in (implicit, explicit))
    assert (there, here) == ([["conv1"], ["pool1"]], [["ip1", "relu1"]])
    kinds = {"implicit": {"gpu": "A", "layers": there}, "rules": {"gpu": "B", "layers": here}}
    text = "\n".join(engine_layers.layers_table({"lenet": kinds}))
    assert "| LeNet | 2 (A) | 1 (B) | 0 | 2 | 1 | 1 | 1 |" in text
    # By the rules conv2 alone has a pair, which TensorRT moves in front of the pool.
    assert "with pairs by the rules as they are now (1): `pool1`." in text
    assert "still without pairs (1): `conv1`." in text
    assert "explicit engine alone, without pairs now (1): `ip1`." in text


def test_a_missed_goal_names_the_nodes_that_are_slower():
    kinds = {
        "implicit": {"ms": 1.0, "builds": [1.0], "sqnr_db": 20.0, "int8": 3, "copies": 0,
                     "parts": {"convolutions": 4.0, "copies": 2.0}},
        "map": {"ms": 1.5, "builds": [1.5, 1.4], "sqnr_db": 20.2, "int8": 3, "copies": 1, "slower": [["conv9", 500.0]],
                "int8_only_here": 0, "int8_only_there": 1, "parts": {"convolutions": 9.0, "copies": 1.0}},
        "rules": {"ms": 1.01, "builds": [1.01], "sqnr_db": 19.6, "int8": 3, "copies": 0},
        "explicit": {"ms": 0.5, "builds": [0.5], "sqnr_db": 19.0, "int8": 5, "copies": 0},
    }  # fmt: skip
    lines = write_engine_tables.placements_table(
        {"subjects": [{"model": "lenet", "level": 3, "batch": 32, "kinds": kinds}]}
    )
    goals = [line.rsplit("|", 2)[1].strip() for line in lines[2:6]]
    assert goals == ["", "slower", "yes", "less accurate"]
    assert all(len(line) <= 120 for line in lines if not line.startswith("|"))
    text = " ".join(line.strip() for line in lines)
    assert "1 that were are not; convolutions +5 µs; `conv9` +500.0 µs" in text


def measured(folder, engines):
    """Write what a run leaves: each process a file of its own, implicit in one, explicit in another."""
    layers = [
        {
            "Name": name,
            "LayerType": kind,
            "Inputs": [{"Name": "pool1", "Format/Datatype": "Row major Int8 format"}],
            "Outputs": [{"Name": name, "Format/Datatype": "Row major linear FP32"}],
        }
        for name, kind in (("conv2", "CaskConvolution"), ("copy of pool1", "Reformat"))
    ]
    inspector = json.dumps({"Layers": layers, "Bindings": []})
    times = {}
    folder.mkdir()
    for tag, kind, ms in engines:
        found = {f"{kind}.{tag}0": {"inspector": inspector, "sqnr_db": 30.0}}
        raw = {"model": "lenet", "level": 3, "batch": 32, "engines": found}
        (folder / f"build.lenet.3.{tag}.json.gz").write_bytes(gzip.compress(json.dumps(raw).encode()))
        times[f"lenet.3.{kind}.{tag}0"] = {"ms": ms, "layers": {"conv2": ms, "copy of pool1": 0.5}}
    (folder / "times.lenet.3.json").write_text(json.dumps(times))
    return folder


def test_builds_of_several_processes_are_one_subject(tmp_path):
    folder = measured(tmp_path / "run", [("a", "implicit", 1.0), ("b", "implicit", 3.0), ("r", "rules", 2.0)])
    (subject,) = write_engine_tables.collect_placements([folder])["subjects"]
    assert subject["kinds"]["implicit"]["builds"] == [1.0, 3.0]
    assert subject["kinds"]["implicit"]["parts"]["convolutions"] == 2000.0  # the average of both builds
    assert subject["kinds"]["rules"]["ms"] == 2.0
    assert subject["kinds"]["rules"]["parts"]["copies"] == 500.0
    assert subject["kinds"]["rules"]["slower"] == [["conv2", 1000.0]]


def test_an_earlier_run_is_kept_for_what_later_ones_did_not_measure_beside_its_own_implicit_engine(tmp_path):
    new = measured(tmp_path / "new", [("a", "implicit", 1.0), ("r", "rules", 2.0)])
    old = measured(tmp_path / "old", [("a", "implicit", 4.0), ("r", "rules", 9.0), ("e", "explicit", 5.0)])
    same = measured(tmp_path / "same", [("a", "implicit", 1.5), ("r", "rules", 2.5)])
    later, earlier = write_engine_tables.collect_placements([new, old, same])["subjects"]
    assert {kind: found["ms"] for kind, found in later["kinds"].items()} == {"implicit": 1.0, "rules": 2.0}
    assert {kind: found["ms"] for kind, found in earlier["kinds"].items()} == {"implicit": 4.0, "explicit": 5.0}
    assert "an earlier run | implicit" in write_engine_tables.placements_table({"subjects": [later, earlier]})[4]
