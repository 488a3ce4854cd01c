"""The pages show what was measured: their tables are those that the script makes of the results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import write_engine_tables

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


def test_a_missed_goal_names_the_nodes_that_are_slower():
    kinds = {
        "implicit": {"ms": 1.0, "builds": [1.0], "sqnr_db": 20.0, "int8": 3, "copies": 0},
        "map": {"ms": 1.5, "builds": [1.5, 1.4], "sqnr_db": 20.2, "int8": 3, "copies": 1, "slower": [["conv9", 500.0]],
                "int8_only_here": [], "int8_only_there": ["a"]},
        "rules": {"ms": 1.01, "builds": [1.01], "sqnr_db": 19.6, "int8": 3, "copies": 0},
        "explicit": {"ms": 0.5, "builds": [0.5], "sqnr_db": 19.0, "int8": 5, "copies": 0},
    }  # fmt: skip
    lines = write_engine_tables.placements_table(
        {"subjects": [{"model": "lenet", "level": 3, "batch": 32, "kinds": kinds}]}
    )
    goals = [line.rsplit("|", 2)[1].strip() for line in lines[2:6]]
    assert goals == ["", "slower", "yes", "less accurate"]
    assert any("`conv9` +500.0 µs" in line and "1 that were are not" in line for line in lines)
