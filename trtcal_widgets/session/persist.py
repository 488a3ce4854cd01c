"""A session in one file: a zip of JSON and numpy arrays, readable with nothing else. No pickle.

``session.json`` holds the graph, the intent and where the data came from; ``records.npy`` one fixed-size record per
batch and tensor (see :data:`~trtcal_widgets.core.packed.RECORD`), ``records.bin`` the counts that they point to;
``constants.npy`` and ``constants.bin`` the same for constants; ``weights.npy`` the ranges of weights per channel, whose
names are in ``session.json``.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import numpy as np

from trtcal_widgets.common.arguments import is_folder, path_text
from trtcal_widgets.common.damage import check_expansion, damage_as
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.version import __version__
from trtcal_widgets.core.packed import RECORD
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.errors import ModelError, SessionError, UsageError
from trtcal_widgets.formats.detect import describe_format, detect_format
from trtcal_widgets.model.graph import ModelGraph
from trtcal_widgets.session.choices import Choices
from trtcal_widgets.session.keeping.sample_facts import FACTS, Sample
from trtcal_widgets.session.parts import Origin, Parts, kept_tensors, plan_of
from trtcal_widgets.session.recorder import Recorder, as_runner
from trtcal_widgets.session.state import Choice, RunStatus, SessionState
from trtcal_widgets.session.store import NO_BASES, NO_FACTS, BatchStore, SavedSamples
from trtcal_widgets.session.weights import pack, unpack

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.session.store import Batch

FORMAT = "trtcal_widgets session"
FORMAT_VERSION = 1


def save_session(parts: Parts, status: RunStatus, path: str | os.PathLike[str]) -> None:
    """Write a session piece by piece; the old file stays where that fails."""
    constants = BatchStore(parts.graph.float_tensors)
    weights, ranges = pack(parts.weights)

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            facts = {**_facts(parts, status), "weights": weights}
            archive.writestr("session.json", json.dumps(facts, ensure_ascii=True, indent=1))
            with archive.open("weights.npy", "w") as part:
                np.lib.format.write_array(part, ranges, allow_pickle=False)
            with archive.open("samples.npy", "w", force_zip64=True) as part:
                known = [batch.facts for batch in parts.store.recorded()]
                np.lib.format.write_array(part, np.concatenate([NO_FACTS, *known]), allow_pickle=False)
            with archive.open("without.npy", "w", force_zip64=True) as part:
                records = [one.records for one in parts.store.without()]
                shape = (len(records), len(parts.store.index))
                np.lib.format.write_array(part, np.array(records, RECORD).reshape(shape), allow_pickle=False)
            for stem, store in (("records", parts.store), ("constants", constants)):
                with archive.open(f"{stem}.npy", "w", force_zip64=True) as part:
                    _write_records(part, store)
                with archive.open(f"{stem}.bin", "w", force_zip64=True) as part:
                    for block in store.blocks():
                        part.write(block)

    try:
        constants.append(parts.constants.items())
        write_atomic(path, write, inputs=parts.inputs())
    finally:
        constants.close()


def _write_records(file: IO[bytes], store: BatchStore) -> None:
    """Write the records of all batches as one array, without having it."""
    shape = (len(store), len(store.index))
    header = {"descr": np.lib.format.dtype_to_descr(RECORD), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for records in islice(store.records(), len(store)):
        file.write(records.tobytes())


def _facts(parts: Parts, status: RunStatus) -> dict[str, Any]:
    state = parts.choices.state
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "written_by": f"trtcal_widgets {__version__}",
        "graph": parts.graph.to_json(),
        "range_mode": parts.range_mode,
        "runner": parts.origin.runner_name,
        "source": parts.origin.source_text,
        "plan": dict(parts.origin.plan_options),
        "bases": dict(parts.store.bases),
        "samples": [_samples(parts.store, i, batch) for i, batch in enumerate(parts.store.recorded())],
        "without": [[one.batch, sorted(one.samples)] for one in parts.store.without()],
        "status": asdict(status),
        "state": {
            "position": state.position,
            "excluded": sorted(state.excluded),
            "samples_out": sorted(state.samples_out),
            "method": str(state.method),
            "choices": {name: choice.to_json() for name, choice in state.choices.items()},
            "selected": state.selected,
        },
    }


def _samples(store: BatchStore, index: int, batch: Batch) -> dict[str, Any]:
    told = batch.told if any(one.name or one.label >= 0 for one in batch.told) else ()
    return {
        "n": len(store.samples_in(index)),
        "extremes": batch.extremes,
        "facts": len(batch.facts) > 0,
        "names": [one.name for one in told],
        "labels": [one.label for one in told],
    }


_START = 4096
"""Bytes of a file that tell its kind."""


def check_is_session(path: Path) -> None:
    """Raise SessionError with what a file is where there is none, or one of another kind that people have beside it."""
    is_a_folder = is_folder(path, SessionError)
    if is_a_folder is None:
        raise SessionError(f"{path}: there is no such file. Check the path.")
    if is_a_folder:
        raise SessionError(f"{path}: this is a folder. Give the saved session itself.")
    try:
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError:
        return  # what comes next says so
    known = detect_format(start)
    if known in ("cache", "legacy"):
        what = describe_format(known)
    elif path.suffix.lower() == ".onnx":
        what = "an ONNX model"
    else:
        return
    raise SessionError(
        f"{path}: this is not a saved session but {what}. Give the file that `trtcal calibrate --session` wrote (in "
        "Python: session.save())."
    )


def load_parts(path: str | os.PathLike[str], model: Any, source: Any, options: Mapping[str, Any]) -> Parts:
    """Read a session; see :meth:`CalibrationSession.load`."""
    shown = path_text(path, "a saved session", SessionError)
    check_is_session(Path(shown))
    what = f"{shown}: this is not a saved session, or it is damaged"
    with damage_as(SessionError, what, "Save the session again, or record it anew"):
        with zipfile.ZipFile(Path(shown)) as archive:
            for member in archive.infolist():
                check_expansion(Path(shown), member.file_size, member.filename, SessionError, advice=_LARGE)
            facts = json.loads(archive.read("session.json"))
            check_facts(facts, shown)
            graph = _graph(facts, shown)
            saved = RunStatus(**facts["status"])
            store, constants = BatchStore(kept_tensors(graph)), BatchStore(graph.float_tensors)
            samples = _saved_samples(archive, facts) if "samples" in facts else None
            _fill(archive, "records", store, dict(facts["bases"]), saved.n_samples, samples)
            _fill_without(archive, store, facts)
            _fill(archive, "constants", constants)
            weights = _weights(archive, facts, graph)
        found = {name: constants.get(0, name) for name in graph.float_tensors} if len(constants) else {}
        constants.close()
        parts = Parts(
            graph=graph,
            range_mode=facts["range_mode"],
            origin=Origin(facts["runner"], facts["source"], MappingProxyType(dict(facts["plan"]))),
            store=store,
            constants={name: h for name, h in found.items() if h is not None},
            weights=weights,
            choices=Choices(graph, store, _state(facts, shown), saved.n_batches),
            recorder=None,
            rest=_status(facts, saved, len(store)),
        )
        return parts if model is None and source is None else _reattached(parts, model, source, shown, **options)


_LARGE = "Save the session again, or record it anew"


def _graph(facts: Mapping[str, Any], shown: str) -> ModelGraph:
    try:
        return ModelGraph.from_json(facts["graph"])
    except ModelError as error:
        raise SessionError(f"{shown}: {error}. Record the session anew") from error


_WHOLE, _MAYBE = (int,), (int, type(None))
_STATUS: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "phase": (str,),
        "recorded": _WHOLE,
        "n_batches": _MAYBE,
        "n_samples": _WHOLE,
        "total_samples": _MAYBE,
        "dropped": _WHOLE,
        "seconds_left": (int, float, type(None)),
        "message": (str,),
        "pass_name": (str,),
        "pass_done": _WHOLE,
    }
)
"""What the fields of a saved status may be."""


def check_facts(facts: Any, shown: str) -> None:
    """Refuse values that no session has saved: everything after this trusts them."""
    _check_format(facts, shown)
    texts = all(isinstance(facts.get(key), str) for key in ("runner", "source"))
    state, status = facts.get("state"), facts.get("status")
    fits = (
        texts
        and facts.get("range_mode") in ("tensorrt", "two-pass")
        and isinstance(facts.get("plan"), dict)
        and isinstance(facts.get("bases"), dict)
        and all(type(base) in (int, float) and 0 <= base <= _FLOAT32_MAX for base in facts["bases"].values())
        and isinstance(status, dict)
        and all(name in _STATUS and type(value) in _STATUS[name] for name, value in status.items())
        and isinstance(state, dict)
        and type(state.get("position")) is int
        and isinstance(state.get("excluded"), list)
        and all(type(place) is int and 0 <= place < _FAR for place in state["excluded"])
        and isinstance(state.get("samples_out", []), list)
        and all(type(sample) is int and 0 <= sample < _FAR for sample in state.get("samples_out", []))
        and isinstance(state.get("choices"), dict)
        and all(isinstance(choice, dict) for choice in state["choices"].values())
        and isinstance(state.get("selected"), str)
    )
    if not fits:
        raise SessionError(f"{shown}: what it says about its batches and choices is damaged. Record the session anew")


_FLOAT32_MAX = float(np.finfo(np.float32).max)
_FAR = 1 << 40
"""More batches than any session has."""


def _check_format(facts: Any, shown: str) -> None:
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise SessionError(f"{shown}: this is not a saved session of trtcal_widgets")
    if facts["format_version"] > FORMAT_VERSION:
        raise SessionError(
            f"{shown} was written by a newer version ({facts.get('written_by')}): update this one ({__version__})"
        )


def _fill(
    archive: zipfile.ZipFile,
    stem: str,
    store: BatchStore,
    bases: Mapping[str, float] = NO_BASES,
    n_samples: int = 0,
    samples: Sequence[SavedSamples] | None = None,
) -> None:
    records = _array(archive, f"{stem}.npy", RECORD)
    with archive.open(f"{stem}.bin") as file:
        store.restore(records, file, bases, n_samples, samples)


def _saved_samples(archive: zipfile.ZipFile, facts: Mapping[str, Any]) -> list[SavedSamples]:
    """Read what is known of each batch's samples."""
    kept = _array(archive, "samples.npy", FACTS)
    found, at = [], 0
    for one in facts["samples"]:
        n, names, labels = one["n"], one["names"], one["labels"]
        fits = all(type(one[key]) is int for key in ("n", "extremes")) and 0 <= n < _FAR and len(names) == len(labels)
        if not fits or not all(isinstance(name, str) for name in names) or len(names) not in (0, n):
            raise SessionError("what it says about its samples is damaged")
        own = kept[at : at + n] if one["facts"] else NO_FACTS
        at += len(own)
        told = tuple(Sample(name, int(label)) for name, label in zip(names, labels, strict=True))
        found.append(SavedSamples(n, one["extremes"], own, told))
    return found


def _fill_without(archive: zipfile.ZipFile, store: BatchStore, facts: Mapping[str, Any]) -> None:
    """Read the batches that were counted without some samples."""
    which = facts.get("without", [])
    if which:
        for (batch, samples), records in zip(which, _array(archive, "without.npy", RECORD), strict=True):
            store.restore_without(int(batch), frozenset(map(int, samples)), records)


def _array(archive: zipfile.ZipFile, member: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    with archive.open(member) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    if array.dtype != dtype:
        raise SessionError(f"{member} has another layout: the file is damaged")
    return array


def _weights(archive: zipfile.ZipFile, facts: Mapping[str, Any], graph: ModelGraph) -> dict[str, Any]:
    """Read the ranges of weights per channel; sessions saved before there were any have none."""
    if "weights" not in facts:
        return {}
    with archive.open("weights.npy") as file:
        return unpack(facts["weights"], np.lib.format.read_array(file, allow_pickle=False), graph)


def _state(facts: Mapping[str, Any], shown: str) -> SessionState:
    saved = facts["state"]
    try:
        method = Method.parse(saved["method"])
        choices = {name: Choice.from_json(choice) for name, choice in saved["choices"].items()}
    except (UsageError, TypeError) as error:
        raise SessionError(f"{shown}: a method or a threshold that it holds is none: {error}") from error
    return SessionState(
        position=int(saved["position"]),
        excluded=frozenset(int(i) for i in saved["excluded"]),
        samples_out=frozenset(int(i) for i in saved.get("samples_out", ())),
        method=method,
        choices=MappingProxyType(choices),
        selected=saved["selected"],
    )


def _status(facts: Mapping[str, Any], saved: RunStatus, recorded: int) -> RunStatus:
    """Say what a laptop without the model can do with what was recorded."""
    message = f"Loaded: {recorded} batches recorded with {facts['runner']} from {facts['source']}."
    return replace(saved, phase="finished", recorded=recorded, seconds_left=None, message=message, pass_done=0)


def _reattached(
    parts: Parts,
    model: Any,
    source: Any,
    shown: str,
    *,
    threads: int | None = None,
    providers: Sequence[Any] | None = None,
    fast: bool | None = None,
    range_mode: str | None = None,  # noqa: ARG001 - that of the file holds
    method: object = None,  # noqa: ARG001 - as above
    **batches: Any,
) -> Parts:
    """Check the model, and give a loaded session its model and data back, so that it can go on."""
    if model is None:
        raise SessionError(f"{shown}: to record more batches give model= as well as source=")
    from trtcal_widgets.runners.onnxruntime import FAST

    recorded_fast = parts.origin.runner_name.endswith(FAST)
    if fast is not None and fast != recorded_fast:
        raise SessionError(f"{shown} was recorded with fast={recorded_fast}: leave fast= out to go on like that")
    runner = as_runner(
        model, threads=threads, providers=providers, fast=recorded_fast and not hasattr(model, "histograms")
    )
    was, now = parts.graph, runner.graph
    if now.sha256 != was.sha256:
        raise SessionError(
            f"{shown} was recorded with {was.name} (sha256 {was.sha256[:12]}…), but {now.name} is another file "
            f"(sha256 {now.sha256[:12]}…): give the model that it was recorded with, or record a new session"
        )
    if source is None:
        return parts
    plan = plan_of(runner, source, **{**parts.origin.plan_options, **batches})
    wanted, given = parts.origin.plan_options.get("batch_size"), plan.batch_size
    if wanted != given:
        raise SessionError(f"{shown} was recorded in batches of {wanted}, not {given}: pass batch_size={wanted}")
    two_pass = parts.range_mode == "two-pass"
    recorder = Recorder(runner, plan, parts.store, parts.constants, parts.weights, two_pass=two_pass)
    return replace(parts, origin=Origin.of(runner, plan), recorder=recorder)
