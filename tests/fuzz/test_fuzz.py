"""Damaged files for every reader, the same ones each time and on every machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "fuzz.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("fuzz_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What two minutes gave where four tests ran beside each other on two cores, 30,000 in all.
INPUTS = 1600


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_thousands_of_damaged_files_let_nothing_foreign_out(tool):
    results, faults = tool.fuzz(list(tool.READERS), 1, None, 10, inputs=INPUTS)
    assert faults == []
    for kind, counts in results.items():
        assert counts.total() == INPUTS, kind
        assert counts["read"] < INPUTS, f"{kind}: nothing was damaged enough to be refused"


def test_the_fuzzer_finds_what_it_looks_for(tool, monkeypatch):
    def broken(path):
        if path.stat().st_size % 2:
            raise KeyError("inside")

    monkeypatch.setitem(tool.READERS, "plan", ("json", broken))
    results, faults = tool.fuzz(["plan"], 1, None, 10, inputs=50)
    assert faults
    assert results["plan"]["FOREIGN KeyError"] > 0


def test_a_kind_has_the_same_files_whatever_is_read_beside_it(tool, monkeypatch):
    def read(path):
        seen.append(path.read_bytes())

    monkeypatch.setitem(tool.READERS, "plan", ("json", read))
    given = []
    for kinds in (["plan"], ["labels", "plan"]):
        seen = []
        tool.fuzz(kinds, 1, None, 10, inputs=20)
        given.append(seen)
    assert given[0] == given[1]
    assert len(set(given[0])) > 10
