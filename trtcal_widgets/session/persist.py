"""A session in one file: a zip of JSON and numpy arrays, readable with nothing else. No pickle.

``session.json`` holds the graph, the intent and where the data came from; ``records.npy`` one fixed-size record per
batch and tensor (see :data:`~trtcal_widgets.core.packed.RECORD`), ``records.bin`` the counts that they point to;
``constants.npy`` and ``constants.bin`` the same for constants.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.arguments import path_text
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.version import __version__
from trtcal_widgets.core.packed import RECORD
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.errors import SessionError, TrtcalError
from trtcal_widgets.model.graph import ModelGraph
from trtcal_widgets.session.recorder import as_runner
from trtcal_widgets.session.state import Choice, RunStatus, SessionState
from trtcal_widgets.session.store import BatchStore

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.session.session import CalibrationSession

__all__ = ["FORMAT_VERSION", "load_session", "save_session"]

FORMAT = "trtcal_widgets session"
FORMAT_VERSION = 1

_DAMAGE = (
    *(OSError, EOFError, KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What zipfile, json and numpy raise for damaged bytes (NotImplementedError is a RuntimeError)."""


def save_session(session: CalibrationSession, path: str | os.PathLike[str]) -> None:
    """Write a session; the old file stays where that fails."""
    constants = BatchStore(session.tensors)
    try:
        constants.append(session.parts.constants.items())
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("session.json", json.dumps(_facts(session), ensure_ascii=True, indent=1))
            for stem, store in (("records", session.parts.store), ("constants", constants)):
                archive.writestr(f"{stem}.npy", _npy(store.records()))
                with archive.open(f"{stem}.bin", "w", force_zip64=True) as file:
                    for block in store.blocks():
                        file.write(block)
        write_atomic(path, buffer.getvalue())
    finally:
        constants.close()


def _facts(session: CalibrationSession) -> dict[str, Any]:
    state = session.state
    recorder = session.recorder
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "written_by": f"trtcal_widgets {__version__}",
        "graph": session.graph.to_json(),
        "range_mode": session.range_mode,
        "runner": session.runner_name,
        "source": session.source_text,
        "plan": dict(session.plan_options),
        "bases": recorder.bases if recorder else dict(session.parts.bases),
        "status": asdict(session.status),
        "state": {
            "position": state.position,
            "excluded": sorted(state.excluded),
            "method": str(state.method),
            "choices": {name: choice.to_json() for name, choice in state.choices.items()},
            "selected": state.selected,
        },
    }


def _npy(array: NDArray[np.void]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def load_session(
    cls: type[CalibrationSession],
    path: str | os.PathLike[str],
    model: Any,
    source: Any,
    options: Mapping[str, Any],
) -> CalibrationSession:
    """Read a session; see :meth:`CalibrationSession.load`."""
    shown = path_text(path, "a saved session", SessionError)
    session: CalibrationSession | None = None
    try:
        with zipfile.ZipFile(Path(shown)) as archive:
            facts = json.loads(archive.read("session.json"))
            _check_format(facts, shown)
            session = cls.__new__(cls)
            session._restore(ModelGraph.from_json(facts["graph"]), facts, _state(facts))  # noqa: SLF001 - the other half
            _fill(archive, "records", session.parts.store)
            constants = BatchStore(session.tensors)
            _fill(archive, "constants", constants)
            found = {name: constants.get(0, name) for name in session.tensors} if len(constants) else {}
            constants.close()
            session.parts.constants.update({name: h for name, h in found.items() if h is not None})
        session._restored(_status(facts, len(session.parts.store)), facts["bases"])  # noqa: SLF001 - as above
        if model is not None or source is not None:
            _reattach(session, model, source, options, shown)
    except TrtcalError:
        if session is not None:
            session.close()
        raise
    except FileNotFoundError:
        raise SessionError(f"{shown}: there is no such file. Check the path.") from None
    except _DAMAGE as error:
        raise SessionError(
            f"{shown}: this is not a saved session, or it is damaged ({type(error).__name__}: {error}). "
            "Save the session again, or record it anew"
        ) from error
    return session


def _check_format(facts: Any, shown: str) -> None:
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise SessionError(f"{shown}: this is not a saved session of trtcal_widgets")
    if facts["format_version"] > FORMAT_VERSION:
        raise SessionError(
            f"{shown} was written by a newer version ({facts.get('written_by')}): update this one ({__version__})"
        )


def _fill(archive: zipfile.ZipFile, stem: str, store: BatchStore) -> None:
    with archive.open(f"{stem}.npy") as file:
        records = np.lib.format.read_array(file, allow_pickle=False)
    if records.dtype != RECORD:
        raise SessionError(f"the saved {stem} have another layout: the file is damaged")
    with archive.open(f"{stem}.bin") as file:
        store.restore(records, file)  # type: ignore[arg-type]


def _state(facts: Mapping[str, Any]) -> SessionState:
    saved = facts["state"]
    return SessionState(
        position=int(saved["position"]),
        excluded=frozenset(int(i) for i in saved["excluded"]),
        method=Method.parse(saved["method"]),
        choices=MappingProxyType({name: Choice.from_json(choice) for name, choice in saved["choices"].items()}),
        selected=saved["selected"],
    )


def _status(facts: Mapping[str, Any], recorded: int) -> RunStatus:
    """Say what a laptop without the model can do with what was recorded."""
    saved = RunStatus(**facts["status"])
    message = f"Loaded: {recorded} batches recorded with {facts['runner']} from {facts['source']}."
    return RunStatus(
        phase="finished",
        recorded=recorded,
        n_batches=saved.n_batches,
        n_samples=saved.n_samples,
        total_samples=saved.total_samples,
        dropped=saved.dropped,
        message=message,
        pass_name=saved.pass_name,
    )


def _reattach(session: CalibrationSession, model: Any, source: Any, options: Mapping[str, Any], shown: str) -> None:
    """Check the model, and give a loaded session its model and data back, so that it can go on."""
    if model is None:
        raise SessionError(f"{shown}: to record more batches give model= as well as source=")
    runner = as_runner(model, threads=options.get("threads"), providers=options.get("providers"))
    if runner.graph.sha256 != session.graph.sha256:
        raise SessionError(
            f"{shown} was recorded with {session.graph.name} (sha256 {session.graph.sha256[:12]}…), but "
            f"{runner.graph.name} is another file (sha256 {runner.graph.sha256[:12]}…): give the model that it was "
            "recorded with, or record a new session"
        )
    if source is None:
        return
    fresh = type(session)(runner, source, **{**session.plan_options, **options, "range_mode": session.range_mode})
    wanted, given = session.plan_options.get("batch_size"), fresh.plan_options.get("batch_size")
    if wanted != given:
        fresh.close()
        raise SessionError(f"{shown} was recorded in batches of {wanted}, not {given}: pass batch_size={wanted}")
    session._adopt(fresh)  # noqa: SLF001 - as above
