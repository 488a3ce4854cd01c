"""What a build is asked for: the form's values, what can be picked, and why something cannot."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import is_folder
from trtcal_widgets.common.words import did_you_mean
from trtcal_widgets.errors import ExportError, UsageError
from trtcal_widgets.widgets.kit.file_form import FileForm, checked_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.trt.versions import Features

MODES: Mapping[str, str] = MappingProxyType(
    {
        "calibrate": "TensorRT calibrates",
        "session": "this session's scales",
        "qdq": "a Q/DQ model of this session",
        "given": "as given in the call",
    }
)
"""Where the INT8 scales come from -> what the form calls it."""

ALGORITHMS: Mapping[str, str] = MappingProxyType(
    {"entropy2": "entropy 2", "entropy": "entropy", "minmax": "minmax", "legacy": "legacy"}
)
FOLLOWS: Mapping[str, str] = MappingProxyType(
    {"recorded": "recorded batches", "all": "all, run here too", "no": "nothing"}
)
"""How far the session goes along with TensorRT -> what the form calls it."""

_OWN = MappingProxyType(
    {
        "session": "it is the first argument: BuildPanel(session)",
        "model": "it is an argument of the panel itself",
        "progress": "the panel shows it",
        "log": "the panel shows it; all lines are in panel.log",
        "control": "the panel's buttons are the control",
    }
)


@dataclass(frozen=True)
class BuildForm(FileForm):
    """What the user filled in, and what came of the files for another machine.

    ``mode``, ``algorithm`` and ``follow`` are keys of the tables above; ``hold`` waits before the first batch;
    ``path`` is the engine's, ``cache`` that of the cache that TensorRT makes, empty for none.
    """

    path: str = "model.engine"
    mode: str = "calibrate"
    algorithm: str = "entropy2"
    follow: str = "recorded"
    fp16: bool = False
    hold: bool = False
    cache: str = ""


@dataclass(frozen=True)
class Job:
    """What can be built: an ONNX file, with a session or without, and further arguments of ``trt.build``."""

    session: CalibrationSession | None
    model: Path
    options: Mapping[str, Any]

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes to pick from."""
        if self.session is None or not self.options.get("int8", True) or {"calibrator", "cache"} & self.options.keys():
            return ("given",)
        return ("calibrate", "session", "qdq")

    @property
    def counted(self) -> bool:
        """Whether the session has scales."""
        state = None if self.session is None else self.session.state
        return state is not None and any(i not in state.excluded for i in range(state.position))

    def why_not(self, mode: str, has: Features | None) -> str:
        """Return why a mode cannot be had; empty where it can. ``has`` is None without TensorRT."""
        if mode in ("calibrate", "session") and has is not None and not has.calibrators:
            return f"TensorRT {has.version} takes INT8 only from a Q/DQ model"
        if mode == "calibrate":
            return self._why_no_calibration()
        if mode in ("session", "qdq") and not self.counted:
            return "the session has counted no batch, so there are no scales yet"
        return ""

    def _why_no_calibration(self) -> str:
        session = self.session
        if session is None or session.plan is None:
            return "the session was loaded without its data"
        if session.status.phase == "running":
            return "a run is going on in the session, and both would read the same data: wait for it, or cancel it"
        return ""

    def first_mode(self, has: Features | None) -> str:
        """Return the mode that the form begins with: the first one that can be had."""
        return next((mode for mode in self.modes if not self.why_not(mode, has)), self.modes[-1])


def check_form(form: BuildForm, job: Job) -> BuildForm:
    """Return the form if its choices exist; a UsageError if one does not."""
    for what, value, known in (
        ("mode", form.mode, job.modes),
        ("algorithm", form.algorithm, tuple(ALGORITHMS)),
        ("follow", form.follow, tuple(FOLLOWS)),
    ):
        if value not in known:
            raise UsageError(f"{what} is one of {', '.join(known)}, not {value!r}")
    return form


def targets(form: BuildForm) -> tuple[Path, ...]:
    """Return the files that a build writes over: the engine, the JSON beside it, and the Q/DQ model if it makes one.

    Where it cannot be written there is better said before the build than after it.
    """
    engine = checked_path(form.path, "model.engine")
    if not is_folder(engine.parent, ExportError):
        raise ExportError(f"There is no folder {engine.parent}: create it, or give another file name.")
    beside = engine.with_name(engine.name + ".json")
    return (engine, beside, qdq_path(engine)) if form.mode == "qdq" else (engine, beside)


def qdq_path(engine: Path) -> Path:
    """Return where the Q/DQ model of an engine goes."""
    return engine.with_suffix(".qdq.onnx")


@cache
def _known() -> tuple[str, ...]:
    from trtcal_widgets.trt.building import build

    return tuple(inspect.signature(build).parameters)


def check_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options of a build, frozen; a UsageError for what ``trt.build`` does not take or the panel does."""
    for name in options:
        if name in _OWN:
            raise UsageError(f"BuildPanel takes no {name}=: {_OWN[name]}")
        if name not in _known():
            offered = [known for known in _known() if known not in _OWN]
            hint = did_you_mean(name, offered) or f"; there are {', '.join(offered)}"
            raise UsageError(f"BuildPanel and trt.build have no argument {name!r}{hint}")
    return MappingProxyType(dict(options))
