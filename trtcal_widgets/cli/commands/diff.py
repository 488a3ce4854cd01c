"""``trtcal diff``: two caches, or two Q/DQ models, side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from trtcal_widgets.cli.data_source import share_within
from trtcal_widgets.cli.explicit import diff_json, diff_lines
from trtcal_widgets.cli.registry import DIFFERENT, OK, Command
from trtcal_widgets.cli.scale_files import SCALE_FILE, open_both
from trtcal_widgets.cli.terminal import say, say_json
from trtcal_widgets.common.text_tables import Column, table_lines
from trtcal_widgets.common.words import count_of, json_number, printable, significant
from trtcal_widgets.formats.cache import diff
from trtcal_widgets.model.explicit.compare import compare_pairs
from trtcal_widgets.model.explicit.table import QdqTable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from trtcal_widgets.formats.cache import CacheDiff, CalibrationCache, RowChange
    from trtcal_widgets.formats.reading import ScaleTable

    ScaleFile = CalibrationCache | ScaleTable


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help=f"the file to compare with: {SCALE_FILE}")
    parser.add_argument("b", metavar="B", help="the other file; the ratio is B / A")
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        default=0.0,
        metavar="SHARE",
        help="take scales as equal that differ by at most this share of A's, such as 0.01; default 0: bit for bit",
    )
    parser.add_argument(
        "--scales-only",
        action="store_true",
        help="do not count another header or another order of rows as a difference",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of a table")


def _tolerance(text: str) -> float:
    """Read a share below 1, and 0: with 1 every scale that shrank would be taken as equal."""
    return share_within(text, lambda value: 0 <= value < 1, "of at least 0 and below 1, such as 0.01")


def _run(arguments: argparse.Namespace) -> int:
    a, b = open_both(arguments.a, arguments.b)
    if isinstance(a, QdqTable) and isinstance(b, QdqTable):
        return _run_on_models(a, b, arguments)
    found = diff(a, b)
    changed = [change for change in found.changed if not abs(change.ratio - 1) <= arguments.tolerance]
    changed.sort(key=_size_of_change, reverse=True)
    scales_differ = bool(changed or found.only_in_a or found.only_in_b)
    rest_differs = not arguments.scales_only and (found.header_differs or found.order_differs)
    if arguments.json:
        say_json(_as_json(found, changed, a, b, same=not (scales_differ or rest_differs)))
    else:
        say(*_lines(found, changed, a, b))
    return DIFFERENT if scales_differ or rest_differs else OK


def _run_on_models(a: QdqTable, b: QdqTable, arguments: argparse.Namespace) -> int:
    found = compare_pairs(a.pairs, b.pairs, tolerance=arguments.tolerance)
    if arguments.json:
        say_json(diff_json(found, a.source, b.source))
    else:
        say(*diff_lines(found, a.source, b.source))
    return OK if found.same else DIFFERENT


def _size_of_change(change: RowChange) -> float:
    """How far the ratio is from 1, as a factor; what has no ratio comes first."""
    return abs(math.log(change.ratio)) if 0 < change.ratio < math.inf else math.inf


def _lines(found: CacheDiff, changed: list[RowChange], a: ScaleFile, b: ScaleFile) -> Iterator[str]:
    yield f"A  {printable(a.source)}  {printable(a.header)}".rstrip()
    yield f"B  {printable(b.source)}  {printable(b.header)}".rstrip()
    n_equal = len(found.equal) + len(found.changed) - len(changed)
    notes = [
        f"{count_of(len(changed), 'tensor')} changed",
        f"{len(found.only_in_a):,} only in A",
        f"{len(found.only_in_b):,} only in B",
        f"{n_equal:,} equal",
    ]
    if found.header_differs:
        notes.append("the headers differ")
    if found.order_differs:
        notes.append("the rows stand in another order")
    yield ", ".join(notes)
    if changed:
        yield ""
        yield from _changed_lines(changed, a, b)
    for label, names, file in (("A", found.only_in_a, a), ("B", found.only_in_b, b)):
        if names:
            yield ""
            amax = [significant(file.amax[name]) for name in names]
            columns = [Column("±amax", amax), Column("hex", [file.hex(name) for name in names])]
            yield from table_lines(names, columns, title=f"only in {label}")


def _changed_lines(changed: list[RowChange], a: ScaleFile, b: ScaleFile) -> Iterator[str]:
    names = [change.name for change in changed]
    columns = [
        Column("A ±amax", [significant(a.amax[name]) for name in names]),
        Column("B ±amax", [significant(b.amax[name]) for name in names]),
        Column("B / A", [_ratio(change) for change in changed]),
        Column("A hex", [a.hex(name) for name in names]),
        Column("B hex", [b.hex(name) for name in names]),
    ]
    return table_lines(names, columns, title="changed, largest first")


def _ratio(change: RowChange) -> str:
    """Three digits, or the distance in float32 steps where three digits would say 1.00."""
    text = significant(change.ratio)
    if text == "1.00":
        return f"1 {'+' if change.scale_b > change.scale_a else '-'} {count_of(change.ulps, 'ulp')}"
    return text


def _as_json(found: CacheDiff, changed: list[RowChange], a: ScaleFile, b: ScaleFile, *, same: bool) -> dict[str, Any]:
    return {
        "a": {"file": a.source, "header": a.header or None},
        "b": {"file": b.source, "header": b.header or None},
        "same": same,
        "header_differs": found.header_differs,
        "order_differs": found.order_differs,
        "changed": [
            {
                "name": change.name,
                "amax_a": json_number(a.amax[change.name]),
                "amax_b": json_number(b.amax[change.name]),
                "hex_a": a.hex(change.name),
                "hex_b": b.hex(change.name),
                "ratio": json_number(change.ratio),
            }
            for change in changed
        ],
        "only_in_a": list(found.only_in_a),
        "only_in_b": list(found.only_in_b),
        "equal": len(found.equal) + len(found.changed) - len(changed),
    }


COMMAND = Command(
    name="diff",
    summary="compare two caches or two Q/DQ models; exit code 1 where they differ",
    description=(
        "Compare two caches or neighbouring files: tensors whose scale changed (the largest change first),\n"
        "tensors that only one of them has, header and order of rows. Of two Q/DQ models, whoever made them:\n"
        "tensors quantised in one alone, scales that differ, per channel or not, types, and who reads through\n"
        "the pairs, in graph order; of a model and a cache, the scales. Exit code 0 where nothing differs,\n"
        "1 where something does, 2 for an error."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=(
        "trtcal diff old.cache new.cache",
        "trtcal diff old.cache new.cache --scales-only --tolerance 0.01",
        "trtcal diff ours.qdq.onnx theirs.qdq.onnx",
    ),
)
