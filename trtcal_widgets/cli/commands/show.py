"""``trtcal show``: what a cache says, tensor by tensor, and what is odd about it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trtcal_widgets.cli.explicit import pair_json, pair_lines, pairs_summary
from trtcal_widgets.cli.registry import OK, Command
from trtcal_widgets.cli.scale_files import SCALE_FILE, is_session, open_scales
from trtcal_widgets.cli.terminal import say, say_json
from trtcal_widgets.cli.wording import without_python
from trtcal_widgets.common.text_tables import Column, table_lines, wrap
from trtcal_widgets.common.words import count_of, json_number, printable, significant, some_of
from trtcal_widgets.formats.cache import CalibrationCache, header_fits
from trtcal_widgets.formats.installed import installed_version
from trtcal_widgets.formats.reading import ScaleTable, describe_format
from trtcal_widgets.model.explicit.table import QdqTable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from trtcal_widgets.formats.cache import NameComparison, Oddity

_MAX_LISTED = 8


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=SCALE_FILE)
    parser.add_argument("--model", metavar="MODEL", help="ONNX model: say which rows it knows and which are missing")
    parser.add_argument(
        "--trt-version",
        metavar="VERSION",
        help="say whether this TensorRT would take the cache, such as 10.16.1; default: the installed one",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of a table")


def _run(arguments: argparse.Namespace) -> int:
    file = open_scales(arguments.file, constants_too=True, version=arguments.trt_version)
    names, verdict = _against_model(file, arguments.model) if arguments.model else (None, "")
    version = arguments.trt_version or installed_version()
    if not verdict and version and isinstance(file, CalibrationCache):
        verdict = without_python(header_fits(file, version, file.algorithm).message)
    if arguments.json:
        say_json(_as_json(file, names, verdict))
    else:
        what = "the scales of a saved session" if is_session(arguments.file) else describe_format(format_of(file))
        say(f"{printable(file.source)}: {what}", *_lines(file, names, verdict))
    return OK


def _against_model(file: CalibrationCache | ScaleTable, path: str) -> tuple[NameComparison, str]:
    """Return how rows and tensors match, and why TensorRT would ignore any cache for this model, if it would."""
    from trtcal_widgets.model.load import load_graph
    from trtcal_widgets.model.rows import compare_with_model, explicit_note

    graph = load_graph(path)
    return compare_with_model(file, graph), explicit_note(graph)


def _lines(file: CalibrationCache | ScaleTable, names: NameComparison | None, verdict: str) -> Iterator[str]:
    amax = file.amax
    if file.header:
        version = getattr(file, "version", None)
        written = f"  (TensorRT {'.'.join(map(str, version))})" if version else ""
        yield f"header   {printable(file.header)}{written}"
    yield f"tensors  {len(amax):,}{_span(list(amax.values()))}"
    if verdict:
        yield from _field("verdict", verdict)
    if names:
        yield from _name_lines(names)
    yield ""
    if isinstance(file, QdqTable):
        yield from _field("pairs", pairs_summary(file.pairs))
        yield ""
        yield from pair_lines(file.pairs)
        yield from _oddity_lines(file.oddities)
        return
    yield from table_lines(
        list(amax),
        [
            Column("±amax", [significant(value) for value in amax.values()]),
            Column("scale", [significant(value) for value in file.scales.values()]),
            Column("hex", [file.hex(name) for name in amax]),
        ],
    )
    yield from _oddity_lines(file.oddities)


def _field(label: str, text: str) -> list[str]:
    first, *rest = wrap(text, " " * 9)
    return [f"{label:<9}{first.lstrip()}", *rest]


def _span(amax: list[float]) -> str:
    usable = [value for value in amax if 0 < value < math.inf]
    if not usable:
        return ""
    return f", ±amax from {significant(min(usable))} to {significant(max(usable))}"


def _name_lines(names: NameComparison) -> Iterator[str]:
    yield from _field(
        "model",
        f"{count_of(len(names.matched), 'row')} match the model, {len(names.synthetic):,} are made up by TensorRT, "
        f"{len(names.unknown):,} unknown, {count_of(len(names.missing), 'tensor')} without a row",
    )
    for label, listed in (("unknown", names.unknown), ("missing", names.missing)):
        if listed:
            yield f"{label:<9}{some_of(listed, _MAX_LISTED, printable)}"


def _oddity_lines(oddities: tuple[Oddity, ...]) -> Iterator[str]:
    """One paragraph per kind of oddity: how many, where, and the first one explained."""
    counts = Counter(oddity.kind for oddity in oddities)
    if counts:
        yield ""
        yield "odd about this file:"
    for kind, count in counts.items():
        same = [oddity for oddity in oddities if oddity.kind == kind]
        places = [str(oddity.line) for oddity in same if oddity.line]
        more = ", …" if len(places) > _MAX_LISTED else ""
        where = f" in line {', '.join(places[:_MAX_LISTED])}{more}" if places else ""
        yield f"  {same[0].severity}: {kind}, {count_of(count, 'time')}{where}"
        yield from wrap(same[0].message, "    ")


def format_of(file: CalibrationCache | ScaleTable) -> Any:
    """Name of the file's format, as ``convert`` calls it."""
    if isinstance(file, ScaleTable):
        return file.format
    return "cache" if file.legacy is None else "legacy"


def _as_json(file: CalibrationCache | ScaleTable, names: NameComparison | None, verdict: str) -> dict[str, Any]:
    """Make plain JSON; a number that JSON cannot hold (inf, NaN) is null, its hex says what it is."""
    version = getattr(file, "version", None)
    found: dict[str, Any] = {
        "file": file.source,
        "format": format_of(file),
        "header": file.header or None,
        "tensorrt": ".".join(map(str, version)) if version else None,
        "algorithm": getattr(file, "algorithm", None),
        "tensors": [
            {"name": name, "hex": file.hex(name), "scale": json_number(file.scales[name]), "amax": json_number(amax)}
            for name, amax in file.amax.items()
        ],
        "oddities": [{**asdict(oddity), "line": oddity.line or None} for oddity in file.oddities],
    }
    if isinstance(file, QdqTable):
        found["pairs"] = [pair_json(pair) for pair in file.pairs]
    if verdict:
        found["verdict"] = verdict
    if names:
        found["model"] = {
            "matched": len(names.matched),
            "synthetic": dict(names.synthetic),
            "unknown": list(names.unknown),
            "missing": list(names.missing),
        }
    return found


COMMAND = Command(
    name="show",
    summary="print a cache: names, thresholds, scales, and what is odd",
    description=(
        "Print what a calibration cache or a neighbouring file holds, in the order of the file:\n"
        "the threshold ±amax beyond which values are clipped, the scale (amax / 127, one INT8 step)\n"
        "and the hex digits that stand for it in a cache. Of an ONNX model with QuantizeLinear and\n"
        "DequantizeLinear: its pairs in graph order, under the names that the tensors had before."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=(
        "trtcal show calibration.cache",
        "trtcal show calibration.cache --model model.onnx --trt-version 10.16.1",
        "trtcal show model.qdq.onnx",
        "trtcal show calibration.cache --json | jq '.tensors[0]'",
    ),
)
