"""The calibration cache that is exported: what the user filled in, what the panel shows of it, how it is written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.errors import TrtcalError
from trtcal_widgets.formats.cache import KNOWN_ALGORITHMS, CalibrationCache
from trtcal_widgets.formats.fit import header_fits
from trtcal_widgets.formats.installed import default_version, installed_version
from trtcal_widgets.formats.reading import read_scale_file
from trtcal_widgets.model.rows import compare_with_model, foreign_numbers
from trtcal_widgets.widgets.kit.file_form import FileForm, is_there, path_to_write, typed_path

if TYPE_CHECKING:
    from trtcal_widgets.session import CalibrationSession

_ROWS = (("tensorrt", "all that TensorRT calibrates"), ("activations", "without constants"))
_PREVIEW_LINES = 300


@dataclass(frozen=True)
class ExportForm(FileForm):
    """What the user filled in: which header, which rows; ``open`` says whether the text is to be seen.

    ``asked`` is the file of another model that the next press replaces.
    """

    path: str = "calibration.cache"
    algorithm: str = ""
    version: str = field(default_factory=default_version)
    rows: str = "tensorrt"
    open: bool = False
    asked: str = ""


def export_state(
    session: CalibrationSession, form: ExportForm, *, n_rows: int, n_mine: int, n_absurd: int = 0
) -> dict[str, Any]:
    """Return what the panel shows."""
    counted = any(i not in session.state.excluded for i in range(session.state.position))
    summary, preview = "count a batch first: there are no scales yet", ""
    if counted:
        try:
            summary, preview = _described(session, form, n_rows, n_mine)
            if not form.result:
                form = _warned(form, form.algorithm or _fitting(session), form.version.strip(), n_absurd)
        except TrtcalError as error:
            summary, form = "", replace(form, result=str(error), result_kind="error")
    return {
        **form.as_state(),
        "algorithms": [["", "fits the method"], *([name, name] for name in KNOWN_ALGORITHMS)],
        "algorithm": form.algorithm,
        "version": form.version,
        "row_choices": [list(pair) for pair in _ROWS],
        "rows": form.rows,
        "ready": counted,
        "summary": summary,
        "preview": preview,
        "open": form.open,
    }


def _described(session: CalibrationSession, form: ExportForm, n_rows: int, n_mine: int) -> tuple[str, str]:
    """Return one line about the file, and its text where the preview is open."""
    from trtcal_widgets.formats.header import header_text

    algorithm = form.algorithm or _fitting(session)
    header = header_text(algorithm, form.version.strip())
    yours = f" · {n_mine} yours" if n_mine else ""
    if not form.open:
        return f"{header} · {count_of(n_rows, 'row')}{yours}", ""
    cache = _cache(session, form)
    lines = cache.to_bytes().decode("utf-8", "replace").splitlines()
    more = f"\n… {count_of(len(lines) - _PREVIEW_LINES, 'more line')}" if len(lines) > _PREVIEW_LINES else ""
    text = "\n".join(printable(line) for line in lines[:_PREVIEW_LINES]) + more
    missing = len(session.left_out_rows(form.version.strip()))
    lacks = f" · {missing:,} of TensorRT's rows cannot be told" if missing else ""
    return f"{header} · {count_of(len(cache.rows), 'row')}{yours}{lacks}", text


def _warned(form: ExportForm, algorithm: str, version: str, n_absurd: int) -> ExportForm:
    """Return the form with a warning where scales are absurd, or the TensorRT installed here would ignore the file."""
    warnings = []
    if n_absurd:
        have = "tensor has an absurd scale" if n_absurd == 1 else "tensors have absurd scales"
        warnings.append(f"{n_absurd:,} {have}: the list says which and why, under suspicious.")
    here = installed_version()
    if here:
        fit = header_fits(CalibrationCache.build({"x": 1.0}, algorithm=algorithm, version=version), here, algorithm)
        if fit.verdict != "reuse":
            warnings.append(f"{fit.message} Here: write {here} in the field TensorRT.")
    return replace(form, result=" ".join(warnings), result_kind="warn") if warnings else form


def _fitting(session: CalibrationSession) -> str:
    return "MinMaxCalibration" if session.state.method.kind == "minmax" else "EntropyCalibration2"


def _cache(session: CalibrationSession, form: ExportForm) -> CalibrationCache:
    return session.to_cache(form.algorithm or None, form.version.strip(), form.rows)


def other_model(session: CalibrationSession, form: ExportForm) -> str:
    """Say that the file on disk holds the scales of another model; empty for no file, or one of this model."""
    path = typed_path(form.path)
    try:
        there = read_scale_file(path) if is_there(form.path) and path.is_file() else None
    except TrtcalError:
        return f"{path} is no file of scales that can be read. Press “replace” once more to write over it all the same."
    if there is None:
        return ""
    found = compare_with_model(there, session.graph)
    unknown = len(found.unknown) + len(foreign_numbers(there.scales, session.graph))
    if 2 * unknown <= len(there.scales):
        return ""
    return (
        f"{path} holds the scales of another model: {unknown:,} of its {count_of(len(there.scales), 'row')} are not of "
        f"{session.graph.name}. Press “replace” once more to write over it, or give another name."
    )


def write_cache(session: CalibrationSession, form: ExportForm, *, replace: bool) -> str:
    """Write the cache and return in words what was done; on an error the old file stays."""
    target, done = path_to_write(form.path, "calibration.cache", replace=replace)
    cache = _cache(session, form)
    cache.write(target)
    rows, size = count_of(len(cache.rows), "row"), count_of(len(cache.to_bytes()), "byte")
    return f"{done} {target.absolute()} · {cache.header} · {rows} · {size}"
