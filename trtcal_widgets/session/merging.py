"""Sessions that were recorded apart, from one R, put together: their histograms are those of one session.

Batches are laid end to end, in the order of the files. What one process would have recorded of the same batches in that
order gives the same thresholds, bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import path_text
from trtcal_widgets.common.damage import damage_as
from trtcal_widgets.common.words import count_of, some_of
from trtcal_widgets.errors import SessionError, UsageError
from trtcal_widgets.session.choices import Choices
from trtcal_widgets.session.parts import Origin, Parts, kept_tensors
from trtcal_widgets.session.persist import check_facts, load_parts
from trtcal_widgets.session.state import RunStatus
from trtcal_widgets.session.store import BatchStore

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from trtcal_widgets.model.graph import ModelGraph


def load_or_merge(path: Any, model: Any, source: Any, options: Mapping[str, Any]) -> Parts:
    """Read one file, or several that become one; see :meth:`CalibrationSession.load`."""
    if not isinstance(path, list | tuple):
        return load_parts(path, model, source, options)
    if source is not None:
        raise UsageError("merged sessions have the batches of several sources: leave source= out, or load one file")
    if not path:
        raise UsageError("there is no file to load: give a saved session, or several to merge")
    if len(path) == 1:
        return load_parts(path[0], model, source, options)
    parts = merge(path)
    if model is not None:
        load_parts(path[0], model, None, options)  # it is checked against the first one, and so against all
    return parts


def ranges_of(path: str | os.PathLike[str] | None, graph: ModelGraph, range_mode: str) -> dict[str, float]:
    """Return the ranges that a saved session's histograms start from, by tensor; none where there is no path.

    Raises SessionError if the file is no session, has no batch, or is of another model or kind of ranges.
    """
    if path is None:
        return {}
    shown = path_text(path, "a saved session", SessionError)
    with damage_as(SessionError, f"{shown}: this is not a saved session, or it is damaged", "Record it anew"):
        with zipfile.ZipFile(Path(shown)) as archive:
            facts = json.loads(archive.read("session.json"))
        check_facts(facts, shown)
        sha256, name = str(facts["graph"]["sha256"]), str(facts["graph"]["name"])
    if sha256 != graph.sha256:
        raise SessionError(_another_model(shown, name, sha256, graph.name, graph.sha256))
    if facts["range_mode"] != range_mode:
        raise SessionError(
            f"{shown} was recorded with range_mode={facts['range_mode']!r}, and this is to be {range_mode!r}: their "
            "histograms could not be merged. Use the same one"
        )
    if not facts["bases"]:
        raise SessionError(f"{shown} has no batch recorded, and so no ranges to start from: record one at least")
    return {str(tensor): float(base) for tensor, base in facts["bases"].items()}


def merge(paths: Sequence[str | os.PathLike[str]]) -> Parts:
    """Read sessions and put them together. Choices are those of the first; batches left out stay left out.

    Raises SessionError if they cannot be merged: the message says why.
    """
    files = [(path_text(path, "a saved session", SessionError), load_parts(path, None, None, {})) for path in paths]
    _check(files)
    first = files[0][1]
    store = BatchStore(kept_tensors(first.graph))
    excluded: set[int] = set()
    for _, parts in files:
        excluded |= {len(store) + i for i in parts.choices.state.excluded if i < len(parts.store)}
        for batch in range(len(parts.store)):
            told = parts.store.recorded()[batch].told
            store.append_packed(parts.store.packed(batch), len(parts.store.samples_in(batch)), told)
    state = replace(first.choices.state, excluded=frozenset(excluded), samples_out=frozenset(), position=len(store))
    origin = first.origin
    sources = "; ".join(dict.fromkeys(parts.origin.source_text for _, parts in files))
    plan = MappingProxyType({**origin.plan_options, "max_batches": None})
    constants = next((parts.constants for _, parts in files if parts.constants), {})
    n_samples = store.last.n_samples
    for _, parts in files:
        parts.store.close()
    return replace(
        first,
        others=tuple(Path(path) for path, _ in files),
        origin=Origin(origin.runner_name, sources, plan),
        store=store,
        constants=constants,
        choices=Choices(first.graph, store, state, len(store)),
        rest=RunStatus(
            phase="finished",
            recorded=len(store),
            n_batches=len(store),
            n_samples=n_samples,
            total_samples=n_samples,
            dropped=sum(parts.rest.dropped for _, parts in files),
            message=f"Merged from {count_of(len(files), 'session')}: {count_of(len(store), 'batch', 'batches')}.",
        ),
    )


def _check(files: Sequence[tuple[str, Parts]]) -> None:
    """Refuse what cannot be merged."""
    shown, first = files[0]
    seen: dict[str, str] = {}
    bases: dict[str, tuple[float, str]] = {}
    for path, parts in files:
        if parts.graph.sha256 != first.graph.sha256:
            raise SessionError(
                _another_model(shown, first.graph.name, first.graph.sha256, parts.graph.name, parts.graph.sha256, path)
            )
        for what, one, other in (
            ("range_mode", first.range_mode, parts.range_mode),
            ("what ran the model", first.origin.runner_name, parts.origin.runner_name),
            ("batch size", first.origin.plan_options.get("batch_size"), parts.origin.plan_options.get("batch_size")),
        ):
            if one != other:
                raise SessionError(
                    f"{shown} and {path} cannot be merged: {what} is {one!r} in one and {other!r} in the other, and "
                    "the result would be that of neither. Record them alike"
                )
        if not len(parts.store):
            raise SessionError(f"{path} has no batch recorded: leave it out")
        mark = _fingerprint(parts.store)
        if mark in seen:
            raise SessionError(f"{seen[mark]} and {path} hold the same batches: leave one of them out")
        seen[mark] = path
        _check_ranges(path, parts.store, bases)


def _check_ranges(path: str, store: BatchStore, bases: dict[str, tuple[float, str]]) -> None:
    other = ""
    differing = []
    for name, base in store.bases.items():
        known, where = bases.setdefault(name, (base, path))
        if known != base:
            differing.append(f"{name!r} ({known:.9g} and {base:.9g})")
            other = where
    if differing:
        raise SessionError(
            f"{other} and {path} cannot be merged: their histograms start from different ranges, those of "
            f"{some_of(differing, show=str)}. Record {path} anew from the other's ranges: trtcal calibrate "
            f"--range-from {other}, or range_from={other!r}"
        )


def _fingerprint(store: BatchStore) -> str:
    found = hashlib.sha256()
    for records in store.records():
        found.update(records.tobytes())
    for block in store.blocks():
        found.update(block)
    return found.hexdigest()


def _another_model(shown: str, was: str, sha256: str, name: str, other: str, path: str = "") -> str:
    this = f"{path}, of {name}" if path else name
    return (
        f"{shown} was recorded with {was} (sha256 {sha256[:12]}…), but {this} is another model (sha256 {other[:12]}…): "
        "only recordings of one model go together"
    )
