"""The export panel's own state, and what it writes. Frozen values; the file is written by the cache."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import printable, printable_lines
from trtcal_widgets.errors import TrtcalError
from trtcal_widgets.formats.cache import KNOWN_ALGORITHMS, CalibrationCache
from trtcal_widgets.formats.fit import header_fits
from trtcal_widgets.formats.installed import default_version, installed_version
from trtcal_widgets.widgets.kit.typed_path import is_there, path_to_write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.session import CalibrationSession

__all__ = ["ExportForm", "export_state", "write_cache"]

_ROWS = (("tensorrt", "all that TensorRT calibrates"), ("activations", "without constants"))
_PREVIEW_LINES = 300


@dataclass(frozen=True)
class ExportForm:
    """What the user filled in, and what came of the last write.

    Attributes
    ----------
    algorithm
        Empty: the one that fits the method for all tensors.
    result, result_kind
        Words about the last write, and ``ok``, ``warn`` or ``error``.
    open
        Whether the preview is open; only then is the text made.
    """

    algorithm: str = ""
    version: str = field(default_factory=default_version)
    rows: str = "tensorrt"
    path: str = "calibration.cache"
    open: bool = False
    result: str = ""
    result_kind: str = ""

    def filled(self, fields: Mapping[str, str]) -> ExportForm:
        """Return the form with what the front end says stands in it."""
        return replace(
            self,
            algorithm=fields["algorithm"],
            version=fields["version"],
            rows=fields["rows"],
            path=fields["path"],
        )


def export_state(session: CalibrationSession, form: ExportForm, *, n_rows: int, n_mine: int) -> dict[str, Any]:
    """Return what the panel shows."""
    counted = any(i not in session.state.excluded for i in range(session.state.position))
    summary, preview, result, kind = "", "", form.result, form.result_kind
    if not counted:
        summary = "count a batch first: there are no scales yet"
    else:
        try:
            summary, preview = _described(session, form, n_rows, n_mine)
            if not result:
                result, kind = _ignored(form.algorithm or _fitting(session), form.version.strip())
        except TrtcalError as error:
            result, kind = str(error), "error"
    return {
        "algorithms": [("", "fits the method"), *((name, name) for name in KNOWN_ALGORITHMS)],
        "algorithm": form.algorithm,
        "version": form.version,
        "row_choices": [list(pair) for pair in _ROWS],
        "rows": form.rows,
        "path": form.path,
        "exists": is_there(form.path),
        "ready": counted,
        "summary": summary,
        "preview": preview,
        "result": printable_lines(result),
        "result_kind": kind,
        "open": form.open,
    }


def _described(session: CalibrationSession, form: ExportForm, n_rows: int, n_mine: int) -> tuple[str, str]:
    """Return one line about the file, and its text where the preview is open."""
    from trtcal_widgets.formats.header import header_text

    algorithm = form.algorithm or _fitting(session)
    header = header_text(algorithm, form.version.strip())
    yours = f" · {n_mine} yours" if n_mine else ""
    if not form.open:
        return f"{header} · {n_rows:,} rows{yours}", ""
    cache = _cache(session, form)
    lines = cache.to_bytes().decode("utf-8", "replace").splitlines()
    more = f"\n… {len(lines) - _PREVIEW_LINES:,} more lines" if len(lines) > _PREVIEW_LINES else ""
    text = "\n".join(printable(line) for line in lines[:_PREVIEW_LINES]) + more
    missing = len(session.left_out_rows(form.version.strip()))
    lacks = f" · {missing:,} of TensorRT's rows cannot be told" if missing else ""
    return f"{header} · {len(cache.rows):,} rows{yours}{lacks}", text


def _ignored(algorithm: str, version: str) -> tuple[str, str]:
    """Return a warning where the TensorRT that is installed here would ignore a file with this header."""
    here = installed_version()
    if not here:
        return "", ""
    fit = header_fits(CalibrationCache.build({"x": 1.0}, algorithm=algorithm, version=version), here, algorithm)
    if fit.verdict == "reuse":
        return "", ""
    return f"{fit.message} Here: write {here} in the field TensorRT.", "warn"


def _fitting(session: CalibrationSession) -> str:
    return "MinMaxCalibration" if session.state.method.kind == "minmax" else "EntropyCalibration2"


def _cache(session: CalibrationSession, form: ExportForm) -> CalibrationCache:
    return session.to_cache(form.algorithm or None, form.version.strip(), form.rows)


def write_cache(session: CalibrationSession, form: ExportForm, *, replace: bool) -> str:
    """Write the cache and return what was done, in words.

    Raises
    ------
    ExportError, SessionError, UsageError
        If it cannot be written, or a file is there already and ``replace`` is false. The old file stays.
    """
    target, done = path_to_write(form.path, "calibration.cache", replace=replace)
    cache = _cache(session, form)
    cache.write(target)
    return f"{done} {target.absolute()} · {cache.header} · {len(cache.rows):,} rows · {len(cache.to_bytes()):,} bytes"
