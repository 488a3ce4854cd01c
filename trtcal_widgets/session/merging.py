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
from trtcal_widgets.session.persist import check_facts, check_is_session, load_parts
from trtcal_widgets.session.state import RunStatus
from trtcal_widgets.session.store import BatchStore

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from trtcal_widgets.core.histogram import Histogram
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
    check_is_session(Path(shown))
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
    """Read sessions and put them together, one after the other: however many there are, two are open at a time.

    Choices are those of the first; batches and samples left out stay left out. Raises SessionError if they cannot be
    merged: the message says why.
    """
    merged: _Merged | None = None
    try:
        for path in paths:
            shown = path_text(path, "a saved session", SessionError)
            parts = load_parts(shown, None, None, {})
            try:
                merged = merged or _Merged(shown, parts)
                merged.add(shown, parts)
            finally:
                parts.store.close()
    except BaseException:
        if merged is not None:
            merged.store.close()
        raise
    assert merged is not None
    return merged.parts()


class _Merged:
    """What was put together so far."""

    def __init__(self, shown: str, first: Parts) -> None:
        self._shown, self._first = shown, first
        self.store = BatchStore(kept_tensors(first.graph))
        self._excluded: set[int] = set()
        self._samples_out: set[int] = set()
        self._bases: dict[str, tuple[float, str]] = {}
        self._batches: dict[str, frozenset[bytes]] = {}
        self._sources: dict[str, None] = {}
        self._stopped: list[str] = []
        self._constants: dict[str, Histogram] = {}
        self._planned = self._dropped = 0

    def add(self, shown: str, parts: Parts) -> None:
        """Add a session; SessionError where it does not go with those before."""
        self._check(shown, parts)
        batches, samples = len(self.store), self.store.last.n_samples
        state, n = parts.choices.state, len(parts.store)
        self._excluded |= {batches + i for i in state.excluded if i < n}
        self._samples_out |= {samples + i for i in state.samples_out if i < parts.store.last.n_samples}
        self.store.append_store(parts.store)
        self._sources.setdefault(parts.origin.source_text)
        self._constants = self._constants or parts.constants
        self._dropped += parts.rest.dropped
        planned = max(parts.rest.n_batches or 0, n)
        self._planned += planned
        if planned > n:
            self._stopped.append(f"{shown} ({n:,} of {count_of(planned, 'batch', 'batches')})")

    def parts(self) -> Parts:
        """Return all that was added as the parts of one session."""
        first, n = self._first, len(self.store)
        state = replace(
            first.choices.state,
            excluded=frozenset(self._excluded),
            samples_out=frozenset(self._samples_out),
            position=n,
        )
        n_samples = self.store.last.n_samples
        stopped = f" Some were stopped before their end: {some_of(self._stopped, show=str)}." if self._stopped else ""
        return replace(
            first,
            others=tuple(map(Path, self._batches)),
            origin=Origin(
                first.origin.runner_name,
                _some_sources(list(self._sources)),
                MappingProxyType({**first.origin.plan_options, "max_batches": None}),
            ),
            store=self.store,
            constants=self._constants,
            choices=Choices(first.graph, self.store, state, n),
            rest=RunStatus(
                phase="finished",
                recorded=n,
                n_batches=self._planned,
                n_samples=n_samples,
                total_samples=n_samples,
                dropped=self._dropped,
                message=f"Merged from {count_of(len(self._batches), 'session')}: "
                f"{count_of(n, 'batch', 'batches')}.{stopped}",
            ),
        )

    def _check(self, path: str, parts: Parts) -> None:
        shown, first = self._shown, self._first
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
        batches = frozenset(_fingerprint(parts.store, batch) for batch in range(len(parts.store)))
        for earlier, others in self._batches.items():
            if batches == others:
                raise SessionError(f"{earlier} and {path} hold the same batches: leave one of them out")
            if batches < others or others < batches:
                large, small = (earlier, path) if batches < others else (path, earlier)
                raise SessionError(f"{large} holds all batches of {small}, and others: leave {small} out")
        self._check_ranges(path, parts.store)
        self._batches[path] = batches

    def _check_ranges(self, path: str, store: BatchStore) -> None:
        other = ""
        differing = []
        for name, base in store.bases.items():
            known, where = self._bases.setdefault(name, (base, path))
            if known != base:
                differing.append(f"{name!r} ({known:.9g} and {base:.9g})")
                other = where
        if differing:
            raise SessionError(
                f"{other} and {path} cannot be merged: their histograms start from different ranges, those of "
                f"{some_of(differing, show=str)}. Record {path} anew from the other's ranges: trtcal calibrate "
                f"--range-from {other} (in Python: range_from={other!r})"
            )


_MOST_NAMED = 8
"""Sources of parts that a merged session names."""


def _some_sources(texts: Sequence[str]) -> str:
    more = len(texts) - _MOST_NAMED
    return "; ".join([*texts[:_MOST_NAMED], *([f"and {more:,} more"] if more > 0 else ())])


def _fingerprint(store: BatchStore, batch: int) -> bytes:
    packed = store.packed(batch)
    found = hashlib.sha256(packed.records.tobytes())
    found.update(packed.block)
    found.update(packed.facts["digest"].tobytes())
    return found.digest()


def _another_model(shown: str, was: str, sha256: str, name: str, other: str, path: str = "") -> str:
    this = f"{path}, of {name}" if path else name
    return (
        f"{shown} was recorded with {was} (sha256 {sha256[:12]}…), but {this} is another model (sha256 {other[:12]}…): "
        "only recordings of one model go together"
    )
