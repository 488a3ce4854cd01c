"""Which layers read INT8 in implicit and explicit engines, and what the rules place pairs for now: for docs/qdq.md.

    python tools/write_engine_tables.py --layers FOLDER GPU [FOLDER GPU …]

reads what ``benchmarks/placements.py`` wrote on machines with a GPU and keeps the layers in
``benchmarks/results/layers.json``: of each model the fastest implicit engine and the fastest with the pairs of
``placement="implicit"`` as they were then. A kind that an earlier folder has is not looked for in a later one. The
rules as they are now are asked when the table is written: a comparison on paper, which says nothing of time.
"""

from __future__ import annotations

import gzip
import json
import textwrap
from typing import TYPE_CHECKING, Any

from tools.trt_run.models import TITLES, model_path
from trtcal_widgets.export.qdq.placement import WEIGHTED_OPS, place
from trtcal_widgets.model.engine.inspector import read_inspector
from trtcal_widgets.model.engine.precisions import LayerPrecisions, match_layers
from trtcal_widgets.model.load import load_graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from trtcal_widgets.model.graph import ModelGraph

KINDS = ("implicit", "rules")
_POINTWISE = frozenset({
    "Add", "Sub", "Mul", "Div", "Clip", "Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh",
    "BatchNormalization",
})  # fmt: skip
_MOVES = frozenset({"MaxPool", "Resize", "Reshape", "Flatten", "Transpose", "Squeeze", "Concat"})


def collect_layers(folders: Sequence[tuple[Path, str]]) -> dict[str, Any]:
    """Return, for each model and kind, the GPU and the layers that read INT8, each as its nodes."""
    found: dict[str, Any] = {name: {} for name in TITLES}
    for folder, gpu in folders:
        times: dict[str, Any] = {}
        for path in sorted(folder.glob("times.*.json")):
            times |= json.loads(path.read_text())
        engines = {}
        for path in sorted(folder.glob("build.*.json.gz")):
            raw = json.loads(gzip.decompress(path.read_bytes()))
            for key, engine in raw["engines"].items():
                known = times.get(f"{raw['model']}.{raw['level']}.{key}")
                if known and engine.get("inspector"):
                    engines[raw["model"], raw["level"], key] = (known["ms"], engine["inspector"])
        for name, kinds in found.items():
            for kind in KINDS:
                own = {k: v for k, v in engines.items() if k[0] == name and k[2].rpartition(".")[0] == kind}
                if own and kind not in kinds:
                    fastest = min(own, key=lambda key: own[key][0])
                    layers = int8_layers(own[fastest][1], load_graph(model_path(name)))
                    kinds[kind] = {"gpu": gpu, "level": fastest[1], "layers": layers}
    return {name: kinds for name, kinds in found.items() if len(kinds) == len(KINDS)}


def int8_layers(inspector: str, graph: ModelGraph) -> list[list[str]]:
    """Return the engine's layers that read INT8, each as its nodes in graph order; copies are none."""
    listed = read_inspector(inspector)
    reads = LayerPrecisions.from_inspector(inspector, graph).int8_reads
    return [
        [node.name for node in nodes]
        for layer, nodes in zip(listed, match_layers(listed, graph), strict=True)
        if not layer.copies and any(node.name in reads for node in nodes)
    ]


def layers_table(data: dict[str, Any]) -> list[str]:
    """Return how many layers read INT8 in which engine, and below it the names of those that differ."""
    lines = [
        "| model | implicit engine | explicit engine | in both | implicit alone | of these with pairs now | "
        "explicit alone | of these without pairs now |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    told: list[str] = []
    for model in [name for name in TITLES if name in data]:
        graph = load_graph(model_path(model))
        implicit, rules = data[model]["implicit"], data[model]["rules"]
        there, here = implicit["layers"], rules["layers"]
        lacking, added = _without(there, here), _without(here, there)
        now = _with_pairs(graph)
        mended = [layer for layer in lacking if now & set(layer)]
        gone = [layer for layer in added if not now & set(layer)]
        lines.append(
            f"| {TITLES[model]} | {len(there)} ({implicit['gpu']}) | {len(here)} ({rules['gpu']}) | "
            f"{len(there) - len(lacking)} | {len(lacking)} | {len(mended)} | {len(added)} | {len(gone)} |"
        )
        for title, layers in (
            ("INT8 in the implicit engine alone, with pairs by the rules as they are now", mended),
            ("INT8 in the implicit engine alone, and still without pairs", [x for x in lacking if x not in mended]),
            ("INT8 in the explicit engine alone, without pairs now", gone),
            ("INT8 in the explicit engine alone, and still with pairs", [x for x in added if x not in gone]),
        ):
            if layers:
                names = ", ".join(f"`{_label(layer, graph)}`" for layer in layers)
                told += _wrapped(f"- {TITLES[model]}, {title} ({len(layers)}): {names}.")
    return [*lines, "", *told]


def _without(layers: Iterable[list[str]], others: Iterable[list[str]]) -> list[list[str]]:
    """Return the layers that have no node of any of the others in them."""
    known = {node for layer in others for node in layer}
    return [layer for layer in layers if not known & set(layer)]


def _with_pairs(graph: ModelGraph) -> set[str]:
    """Return the nodes that read through a pair, the rest of such a pointwise kernel, and what moves such values."""
    sites = place(graph, "implicit").sites
    reached = set(sites)
    for node in graph.nodes:  # in graph order: what stands in front is known
        producers = {graph.tensors[name].producer for name in node.inputs if name in graph.tensors}
        if node.op_type in _POINTWISE and any(
            index in reached and graph.nodes[index].op_type in _POINTWISE for index in producers
        ):
            reached.add(node.index)
    paired = {site.tensor for own in sites.values() for site in own}
    moved = {n.index for n in graph.nodes if n.op_type in _MOVES and paired & {*n.inputs, *n.outputs}}
    return {graph.nodes[index].name for index in reached | moved}


def _label(layer: list[str], graph: ModelGraph) -> str:
    """Return what a layer is called by: the node that multiplies, else the last one."""
    ops = {node.name: node.op_type for node in graph.nodes}
    return next((name for name in layer if ops[name] in WEIGHTED_OPS), layer[-1]).removeprefix("p2o.")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
