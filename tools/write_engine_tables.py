"""Write the tables about engines in docs/qdq.md and docs/debugging.md from benchmarks/results.

    python tools/write_engine_tables.py [--collect FOLDER …] [--layers FOLDER GPU …]

``--collect`` first reads what ``benchmarks/placements.py`` wrote into folders on machines with a GPU, the newest first,
and keeps what the tables need, in ``benchmarks/results/placements.json`` and, if a folder has them, ``simulated.json``;
``--layers``: see ``engine_layers``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import textwrap
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.engine_layers import collect_layers, layers_table  # noqa: E402
from tools.trt_run.models import TITLES, model_path  # noqa: E402
from trtcal_widgets.model.engine.inspector import read_inspector  # noqa: E402
from trtcal_widgets.model.engine.precisions import LayerPrecisions  # noqa: E402
from trtcal_widgets.model.load import load_graph  # noqa: E402
from trtcal_widgets.trt.measuring.layers import name_layers, times_by_node  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
KINDS = {
    "implicit": "implicit (cache)",
    "map": "explicit, as that engine ran",
    "rules": 'explicit, `placement="implicit"`',
    "explicit": "explicit, `recommended`",
    "fp16": "FP16",
    "fp32": "FP32",
}
PARTS = {
    "convolutions": ("onvolution", "MatrixMultiply", "Gemm", "FullyConnected"),
    "pointwise operators": ("PointWise", "Scale", "ElementWise"),
    "pools": ("Pooling",),
    "resizes": ("Resize",),
    "copies": ("Reformat", "Shuffle", "NoOp"),
}
"""Part of an engine -> what the names of its kinds of layers have in them."""
FASTER, NEAR_DB = 1.02, 0.5
"""The goal: explicit takes at most so many times as long as implicit, its SQNR so many dB away at most."""
LEAST_GAP = 2.0
"""Differences of less than so many microseconds are not shown."""
MISSED = (
    "Where it is not reached: what the parts of these engines take beyond those of the implicit ones, on the average\n"
    "of the builds, then the nodes that do, in the fastest of each."
)


# ---- from raw results to what is kept ----


def collect_placements(folders: Sequence[Path]) -> dict[str, Any]:
    """Return what the table needs of the engines that were built and timed.

    Each folder is a run. Of an earlier run, one behind the first that has the model, its implicit engines are kept and
    the kinds that no run before it has.
    """
    found: list[dict[str, Any]] = []
    for folder in folders:
        times: dict[str, Any] = {}
        for path in sorted(folder.glob("times.*.json")):
            times |= json.loads(path.read_text())
        raws: dict[tuple[str, int], dict[str, Any]] = {}
        for path in sorted(folder.glob("build.*.json.gz")):
            raw = json.loads(gzip.decompress(path.read_bytes()))
            raws.setdefault((raw["model"], raw["level"]), raw)["engines"] |= raw["engines"]
        known: dict[tuple[str, int], set[str]] = defaultdict(set)
        for subject in found:
            known[subject["model"], subject["level"]] |= set(subject["kinds"])
        for (model, level), raw in raws.items():
            subject = _subject(raw, times)
            kinds = subject["kinds"]
            if had := known[model, level]:
                kinds = {kind: kinds[kind] for kind in kinds if kind == "implicit" or kind not in had}
                subject |= {"note": "an earlier run", "kinds": kinds}
            if len(kinds) > 1 and "implicit" in kinds:
                found.append(subject)
    found.sort(key=lambda subject: (list(TITLES).index(subject["model"]), "note" in subject))
    return {"subjects": found}


def _subject(raw: dict[str, Any], times: dict[str, Any]) -> dict[str, Any]:
    graph = load_graph(model_path(raw["model"]))
    kinds: dict[str, Any] = {}
    by_node: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        builds = [
            (engine, times[f"{raw['model']}.{raw['level']}.{key}"])
            for key, engine in raw["engines"].items()
            if key.rpartition(".")[0] == kind and f"{raw['model']}.{raw['level']}.{key}" in times
        ]
        if not builds:
            continue
        engine, timed = min(builds, key=lambda build: build[1]["ms"])
        ran = LayerPrecisions.from_inspector(engine["inspector"], graph)
        layers = name_layers(read_inspector(engine["inspector"]), timed["layers"], graph)
        by_node[kind] = times_by_node(layers)
        milliseconds = [build[1]["ms"] for build in builds]
        parts = [_parts(built, layer_times["layers"]) for built, layer_times in builds]
        kinds[kind] = {
            "ms": round(statistics.median(milliseconds), 5),
            "host_ms": round(statistics.median(build[1].get("host_ms", 0.0) for build in builds), 5),
            "builds": [round(value, 5) for value in milliseconds],
            "sqnr_db": round(statistics.median(build[0]["sqnr_db"] for build in builds), 2),
            "int8": len(ran.int8),
            "copies": sum(layer.copies and layer.ms > 0 for layer in layers),
            "parts": {part: round(statistics.mean(own.get(part, 0.0) for own in parts), 1) for part in PARTS},
        }
        if kind in ("map", "rules", "explicit") and "implicit" in by_node:
            kinds[kind]["slower"] = _slower(by_node[kind], by_node["implicit"])
            narrow = set(LayerPrecisions.from_inspector(_fastest(raw, times, "implicit"), graph).int8)
            kinds[kind]["int8_only_here"] = len(set(ran.int8) - narrow)
            kinds[kind]["int8_only_there"] = len(narrow - set(ran.int8))
    return {"model": raw["model"], "level": raw["level"], "batch": raw["batch"], "kinds": kinds}


def _parts(engine: dict[str, Any], times: dict[str, float]) -> dict[str, float]:
    """Return the microseconds of the layers of each part of an engine."""
    found: dict[str, float] = defaultdict(float)
    for layer in read_inspector(engine["inspector"]):
        part = next((name for name, kinds in PARTS.items() if any(kind in layer.kind for kind in kinds)), "others")
        found[part] += 1000 * times.get(layer.name, 0.0)
    return found


def _fastest(raw: dict[str, Any], times: dict[str, Any], kind: str) -> str:
    keys = [k for k in raw["engines"] if k.rpartition(".")[0] == kind and f"{raw['model']}.{raw['level']}.{k}" in times]
    return raw["engines"][min(keys, key=lambda k: times[f"{raw['model']}.{raw['level']}.{k}"]["ms"])]["inspector"]


def _slower(explicit: dict[str, float], implicit: dict[str, float]) -> list[list[Any]]:
    """Return the nodes that take longest beyond what they take in the implicit engine, with microseconds."""
    gaps = {node: explicit.get(node, 0.0) - implicit.get(node, 0.0) for node in {*explicit, *implicit}}
    worst = sorted(gaps, key=lambda node: -gaps[node])[:6]
    return [[node, round(1000 * gaps[node], 1)] for node in worst if gaps[node] > 0.0005]


def collect_simulated(folders: Sequence[Path]) -> dict[str, Any]:
    """Return, for each model, how far the engine is from the simulation."""
    found = {}
    for path in sorted(path for folder in folders for path in folder.glob("simulated.*.json")):
        raw = json.loads(path.read_text())
        rows = {name: _summed(row) for name, row in raw.pop("tensors").items()}
        found[path.name.split(".")[1]] = {**{k: round(v, 2) for k, v in raw.items()}, "tensors": rows}
    return found


def _summed(row: dict[str, Any]) -> dict[str, Any]:
    """Sum the batches of a tensor: values, values whose bits or codes differ, the largest differences."""
    own, all_ = row["own"], row["accumulated"] or row["own"]
    kept = {"op": row["op"], "values": sum(part.get("values", 0) for part in own)}
    kept["bits"] = sum(part.get("bits", 0) for part in own)
    kept["relative"] = float(f"{max(part.get('relative', 0.0) for part in own):.2g}")
    if any("codes" in part for part in own):
        kept["codes"] = sum(part.get("codes", 0) for part in own)
        kept["codes_max"] = max(part.get("codes_max", 0) for part in own)
        kept["lowest"] = sum(part.get("lowest", 0) for part in own)
        kept["codes_accumulated"] = sum(part.get("codes", 0) for part in all_)
    return kept


# ---- tables ----


def placements_table(data: dict[str, Any]) -> list[str]:
    """Return the table of latencies and accuracy, and below it the layers that differ where the goal is missed."""
    lines = [
        "| model | engine | ms | × implicit | on the host | SQNR, dB | nodes in INT8 | copies | goal |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    missed = []
    for subject in data["subjects"]:
        base = subject["kinds"].get("implicit")
        note = f", {subject['note']}" if "note" in subject else ""
        title = f"{TITLES[subject['model']]}, batch {subject['batch']}, level {subject['level']}{note}"
        shown = title
        for kind, words in KINDS.items():
            found = subject["kinds"].get(kind)
            if found is None:
                continue
            ratio, host = _times(found, base, "ms"), _times(found, base, "host_ms")
            goal = _goal(found, base) if kind in ("map", "rules", "explicit") and base else ""
            if goal and goal != "yes" and "int8_only_here" in found:
                gaps = {part: value - base["parts"][part] for part, value in found.get("parts", {}).items()}
                missed.append((title, words, {**found, "gaps": gaps}, goal))
            count = f" ({len(found['builds'])})" if len(found["builds"]) > 1 else ""
            sqnr = f"{found['sqnr_db']:.1f}" if "sqnr_db" in found else "–"
            lines.append(
                f"| {shown} | {words} | {found['ms']:.4f}{count} | {ratio} | {host} | {sqnr} | "
                f"{found.get('int8', '–')} | {found.get('copies', '–')} | {goal} |"
            )
            shown = ""
    if missed:
        lines += ["", *MISSED.splitlines(), ""]
    for title, words, found, goal in missed:
        nodes = ", ".join(f"`{node}` +{gap} µs" for node, gap in found.get("slower", [])[:4])
        more, less = found["int8_only_here"], found["int8_only_there"]
        sets = f"{more} nodes in INT8 that were not there, {less} that were are not"
        sums = ", ".join(
            f"{part} {gap:+.0f} µs" for part, gap in found.get("gaps", {}).items() if abs(gap) >= LEAST_GAP
        )
        text = f"- {title}, {words} ({goal}): {sets}{'; ' + sums if sums else ''}{'; ' + nodes if nodes else ''}."
        lines += textwrap.wrap(text, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return lines


def _times(found: dict[str, Any], base: dict[str, Any] | None, which: str) -> str:
    return f"{found[which] / base[which]:.3f}" if base and found.get(which) and base.get(which) else "–"


def _goal(found: dict[str, Any], base: dict[str, Any]) -> str:
    if found["ms"] > FASTER * base["ms"]:
        return "slower"
    if "sqnr_db" not in found or "sqnr_db" not in base:
        return "as fast"
    return "yes" if found["sqnr_db"] >= base["sqnr_db"] - NEAR_DB else "less accurate"


def simulated_table(data: dict[str, Any]) -> list[str]:
    """Return how much a simulated SQNR can be trusted."""
    columns = (
        "SQNR simulated, dB", "of the engine", "between them", "tensors", "bit-equal", "codes equal",
        "codes that differ", "by at most",
    )  # fmt: skip
    lines = _head("model", columns)
    for model in [name for name in TITLES if name in data]:
        found = data[model]
        rows = [row for row in found["tensors"].values() if "codes" in row]
        values = sum(row["values"] for row in rows) or 1
        equal, same = sum(row["bits"] == 0 for row in rows), sum(row["codes"] == 0 for row in rows)
        differ = sum(row["codes"] for row in rows)
        most = max((row["codes_max"] for row in rows), default=0)
        lines.append(
            f"| {TITLES[model]} | {found['sqnr_simulated_db']:.2f} | {found['sqnr_engine_db']:.2f} | "
            f"{found['sqnr_between_db']:.1f} | {len(rows)} | {equal} | {same} | "
            f"{100 * differ / values:.3f} % | {most} |"
        )
    by_op: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for found in data.values():
        for row in found["tensors"].values():
            if "codes" in row:
                by_op[row["op"]].append(row)
    columns = ("tensors", "bit-equal", "codes equal", "codes that differ", "largest relative difference")
    lines += ["", "The layer's own difference, by the operator that makes the tensor:", ""]
    lines += _head("operator", columns)
    for op, rows in sorted(by_op.items(), key=lambda item: -len(item[1])):
        share = sum(row["codes"] for row in rows) / max(1, sum(row["values"] for row in rows))
        lines.append(
            f"| {op} | {len(rows)} | {sum(r['bits'] == 0 for r in rows)} | {sum(r['codes'] == 0 for r in rows)} | "
            f"{100 * share:.4f} % | {max(r['relative'] for r in rows):.1e} |"
        )
    return lines


def _head(first: str, columns: tuple[str, ...]) -> list[str]:
    return ["| " + " | ".join((first, *columns)) + " |", "|---|" + "---:|" * len(columns)]


def put(page: Path, name: str, lines: list[str]) -> None:
    """Replace what stands between the marks of a table."""
    text = page.read_text("utf-8")
    begin, end = f"<!-- results: {name} -->", "<!-- end -->"
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{page} has no place for the table {name}: {begin} … {end}")
    page.write_text(head + begin + "\n" + "\n".join(lines) + "\n" + end + tail, encoding="utf-8")


def main() -> None:
    """Collect where asked, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collect", nargs="+", type=Path, metavar="FOLDER", help="what benchmarks/placements.py wrote")
    parser.add_argument("--layers", nargs="+", metavar="FOLDER GPU", help="folders, and the GPU that each is from")
    given = parser.parse_args()
    if given.layers:
        folders = [(Path(folder), gpu) for folder, gpu in zip(given.layers[::2], given.layers[1::2], strict=True)]
        text = json.dumps(collect_layers(folders), indent=None, separators=(",", ":")).replace("],[", "],\n[")
        (RESULTS / "layers.json").write_text(text + "\n", encoding="utf-8")
    if given.collect:
        found = {"placements": collect_placements(given.collect), "simulated": collect_simulated(given.collect)}
        for name in [name for name, kept in found.items() if kept]:
            (RESULTS / f"{name}.json").write_text(json.dumps(found[name], indent=1) + "\n", encoding="utf-8")
    for name, page, table in (
        ("placements", "qdq.md", placements_table),
        ("layers", "qdq.md", layers_table),
        ("simulated", "debugging.md", simulated_table),
    ):
        path = RESULTS / f"{name}.json"
        if path.exists():
            put(ROOT / "docs" / page, name, table(json.loads(path.read_text("utf-8"))))


if __name__ == "__main__":
    main()
