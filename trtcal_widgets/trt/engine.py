"""An engine with what it was made from."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import is_folder, kind_of, to_path
from trtcal_widgets.common.damage import damage_as
from trtcal_widgets.common.files import read_whole, write_atomic
from trtcal_widgets.errors import EngineError, ExportError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.formats.cache import CalibrationCache
    from trtcal_widgets.gpu.driver import DeviceInfo
    from trtcal_widgets.trt.log import LogBook, LogLine

FORMAT = "trtcal-engine-1"
"""Value of ``"format"`` in the JSON beside an engine."""

_LIMIT = 16 << 30


@dataclass(frozen=True, eq=False)
class Engine:
    """A serialised TensorRT engine.

    Attributes
    ----------
    data
        What ``trt.Runtime.deserialize_cuda_engine`` takes. It is for one TensorRT release and one kind of GPU.
    provenance
        What it was made from, as JSON values; empty for an engine that something else made.
    log
        TensorRT's lines while it was built; empty for one that was loaded.
    cache
        The cache that TensorRT calibrated in this build; None where it did not.
    """

    data: bytes = field(repr=False)
    provenance: Mapping[str, Any] = field(repr=False)
    log: tuple[LogLine, ...] = field(default=(), repr=False)
    cache: CalibrationCache | None = None

    @property
    def sha256(self) -> str:
        """Hash of the engine's bytes, hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def tensorrt(self) -> str:
        """The TensorRT that made it; empty where that is not known."""
        return str(self.provenance.get("tensorrt", ""))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the engine, and beside it ``<path>.json`` with what it was made from. Both atomically.

        Returns
        -------
        Path
            The JSON file.

        Raises
        ------
        ExportError
            If one cannot be written.
        """
        path = to_path(path, "the engine to write", ExportError)
        beside = _beside(path)
        stamp = {"engine": {"file": Path(path).name, "sha256": self.sha256, "bytes": len(self.data)}}
        write_atomic(path, self.data)
        text = json.dumps({**self.provenance, **stamp}, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomic(beside, text.encode("utf-8", "surrogateescape"))
        return beside

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Engine:
        """Read an engine, and the JSON beside it if there is one.

        Raises
        ------
        EngineError
            If it cannot be read, or the JSON is another engine's.
        """
        data = read_whole(path, error=EngineError, what="the engine", limit=_LIMIT)
        if not data:
            raise EngineError(f"{os.fspath(path)} is empty: was the disk full when it was written?")
        beside = _beside(path)
        engine = cls(data, MappingProxyType(_provenance(beside) if is_folder(beside, EngineError) is not None else {}))
        stated = engine.provenance.get("engine", {}).get("sha256", engine.sha256)
        if stated != engine.sha256:
            raise EngineError(
                f"{beside} describes another engine than {os.fspath(path)} (their hashes differ): build it anew, or "
                "delete the JSON if you know where the engine is from"
            )
        return engine

    def misfit(self, version: str, device: DeviceInfo | None) -> str:
        """Say why this TensorRT or this GPU cannot run the engine, as far as its JSON tells; empty where it can.

        Parameters
        ----------
        version
            The installed TensorRT.
        device
            The GPU; None where it is not known.
        """
        reasons = []
        if self.tensorrt and self.tensorrt != version:
            reasons.append(f"it was made by TensorRT {self.tensorrt}, and this is {version}")
        made_on = self.provenance.get("device") or {}  # None where it is not known
        capability = tuple(made_on.get("compute_capability", ()))
        if device is not None and len(capability) == 2 and capability != device.compute_capability:
            theirs, ours = ("{}.{}".format(*pair) for pair in (capability, device.compute_capability))
            reasons.append(
                f"it was made on {made_on.get('name')} (compute capability {theirs}), and this is {device.name} "
                f"({ours})"
            )
        return "; ".join(reasons)


def as_engine(engine: Engine | str | os.PathLike[str]) -> Engine:
    """Return an engine, read from its file where a path was given.

    Raises EngineError if the file cannot be read; UsageError if it is neither.
    """
    if isinstance(engine, Engine):
        return engine
    if isinstance(engine, str | os.PathLike):
        return Engine.load(engine)
    raise UsageError(f"an Engine (from build, or Engine.load) or its path is needed, not {kind_of(engine)}")


def deserialize(trt: Any, runtime: Any, engine: Engine, book: LogBook, device: DeviceInfo | None = None) -> Any:
    """Make TensorRT's ``ICudaEngine``.

    ``book``: TensorRT's log, which has the reason if it refuses. Raises EngineError if it is an engine of another
    release or another kind of GPU, or none at all.
    """
    cuda_engine = runtime.deserialize_cuda_engine(engine.data)
    if cuda_engine is None:
        why = engine.misfit(str(trt.__version__), device) or "it is damaged, or of another TensorRT or kind of GPU"
        model = engine.provenance.get("model", {}).get("file", "its model")
        raise EngineError(
            f"TensorRT cannot load the engine: {why}. Engines cannot be carried over: build {model} here. TensorRT "
            f"says: {book.last_errors()}"
        )
    return cuda_engine


def _beside(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    return path.with_name(path.name + ".json")


def _provenance(path: Path) -> dict[str, Any]:
    data = read_whole(path, error=EngineError, what="the engine's JSON")
    with damage_as(EngineError, f"{path} is no JSON", "Delete it if the engine is good"):
        found = json.loads(data)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise EngineError(f"{path} was not written beside an engine by this package: move it away")
    # A build knows no device where this package has no road to its memory.
    facts = {key: value for key, value in found.items() if key != "device" or value is not None}
    for key in ("engine", "device", "model", "debug"):
        if not isinstance(facts.get(key, {}), dict):
            raise EngineError(f"{path} is damaged ({key!r} is {kind_of(facts[key])}): delete it if the engine is good")
    capability = facts.get("device", {}).get("compute_capability", [])
    if not (isinstance(capability, list) and all(isinstance(number, int) for number in capability)):
        raise EngineError(
            f"{path} is damaged (compute_capability is {capability!r:.80}): delete it if the engine is good"
        )
    return facts
