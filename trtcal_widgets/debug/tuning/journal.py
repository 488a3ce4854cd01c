"""What was measured and scored, in a JSON file, so that tuning that was stopped goes on where it was."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import is_folder
from trtcal_widgets.common.damage import damage_as
from trtcal_widgets.common.files import read_whole, write_atomic
from trtcal_widgets.debug.remembered import plain_score, score_of
from trtcal_widgets.errors import SessionError, TrtcalError
from trtcal_widgets.model.engine.precisions import LayerPrecisions
from trtcal_widgets.trt.measuring.device import Measured
from trtcal_widgets.trt.measuring.layers import LayerTime

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from trtcal_widgets.runners.evaluation import Score

FORMAT = "trtcal_widgets tuning journal"


class Journal:
    """Measurements and scores by key, written at once.

    ``path``: the file; None to remember nothing beyond this run. ``subject``: what they are of: a journal of another
    subject is refused. Raises SessionError if the file is something else, or of another model, scales, evaluation or
    device.
    """

    def __init__(self, path: str | os.PathLike[str] | None, subject: Mapping[str, Any]) -> None:
        self._path = None if path is None else Path(path)
        self._data: dict[str, Any] = {
            "format": FORMAT,
            "subject": dict(subject),
            "measured": {},
            "scores": {},
            "losses": {},
        }
        if self._path is not None and is_folder(self._path, SessionError) is not None:
            self._read(self._path)

    def _read(self, path: Path) -> None:
        text = read_whole(path, error=SessionError, what="the journal of a tuning")
        with damage_as(SessionError, f"{path} is not the journal of a tuning", "Give another file name"):
            data: Any = json.loads(text)
            subject = dict(data["subject"] if data["format"] == FORMAT else data["other format"])
            if subject == self._data["subject"]:
                self._data |= _entries(data)
        if subject != self._data["subject"]:
            raise SessionError(
                f"{path} is the journal of another tuning ({self._other(subject)}): give another file name"
            )

    def _other(self, subject: Mapping[str, Any]) -> str:
        """Say what a journal is of, where it is not of this tuning."""
        own = self._data["subject"]
        there, here = subject.get("device") or "no GPU", own.get("device") or "without one"
        words = {"device": f"measured on {there}, and this is {here}"}
        return "; ".join(words.get(key, f"other {key}") for key in own if subject.get(key) != own[key])

    def measured(self, key: str) -> Measured | None:
        """Return what was measured."""
        found: Measured | None = self._data["measured"].get(key)
        return found

    def score(self, key: str) -> Score | None:
        """Return what was scored."""
        found: Score | None = self._data["scores"].get(key)
        return found

    @property
    def losses(self) -> Mapping[str, float]:
        """What each layer alone in INT8 costs; empty where that is not known yet."""
        return dict(self._data["losses"])

    def put(self, kind: str, key: str, value: Any) -> None:
        """Remember a value: kind ``"measured"``, ``"scores"`` or ``"losses"``."""
        self._data[kind][key] = value
        self._write()

    def put_losses(self, losses: Mapping[str, float]) -> None:
        """Remember what all layers cost."""
        self._data["losses"] = dict(losses)
        self._write()

    def _write(self) -> None:
        if self._path is not None:
            plain = {
                **self._data,
                "measured": {key: _plain_measured(value) for key, value in self._data["measured"].items()},
                "scores": {key: plain_score(value) for key, value in self._data["scores"].items()},
            }
            write_atomic(self._path, json.dumps(plain, indent=1).encode())


def _entries(data: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a journal holds.

    Raises whatever is wrong with it, never an error of this package: the reader names the file.
    """
    try:
        return {
            "measured": {key: _measured(entry) for key, entry in data["measured"].items()},
            "scores": {key: score_of(entry) for key, entry in data["scores"].items()},
            "losses": {str(node): float(loss) for node, loss in data["losses"].items()},
        }
    except TrtcalError as error:
        raise ValueError(str(error)) from error


def _plain_measured(value: Measured) -> dict[str, Any]:
    ran = None if value.ran is None else json.loads(value.ran.to_json())
    return {"ms": value.ms, "layers": [asdict(layer) for layer in value.layers], "ran": ran}


def _measured(entry: Mapping[str, Any]) -> Measured:
    layers = tuple(
        LayerTime(**{**layer, "nodes": tuple(layer["nodes"]), "ms": _milliseconds(layer["ms"])})
        for layer in entry["layers"]
    )
    ran = None if entry["ran"] is None else LayerPrecisions.from_json(json.dumps(entry["ran"]))
    return Measured(_milliseconds(entry["ms"]), layers, ran)


def _milliseconds(value: Any) -> float:
    """Return a time; one that none can be would win or lose every comparison."""
    found = float(value)
    if not 0 <= found < math.inf:
        raise ValueError(f"{value!r} is no time in milliseconds")
    return found
