"""Two minutes of damaged files for every reader, the same ones each time as far as the machine is as fast."""

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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_minutes_of_damaged_files_let_nothing_foreign_out(tool):
    results, faults = tool.fuzz(120, 1, list(tool.READERS), None, 10)
    assert faults == []
    for kind, counts in results.items():
        assert counts.total() > 50, kind
        assert counts["read"] < counts.total(), f"{kind}: nothing was damaged enough to be refused"


def test_the_fuzzer_finds_what_it_looks_for(tool, monkeypatch):
    def broken(path):
        if path.stat().st_size % 2:
            raise KeyError("inside")

    monkeypatch.setitem(tool.READERS, "plan", ("json", broken))
    results, faults = tool.fuzz(2, 1, ["plan"], None, 10)
    assert faults
    assert results["plan"]["FOREIGN KeyError"] > 0
