"""The TensorRT build as a panel: of an explorer, or by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets

from trtcal_widgets.errors import ModelError, UsageError
from trtcal_widgets.widgets.build.binding import BuildBinding
from trtcal_widgets.widgets.build.form import BuildForm, Job, check_options
from trtcal_widgets.widgets.build.state import HELP
from trtcal_widgets.widgets.kit.assets import script, style
from trtcal_widgets.widgets.kit.box import BoundBox
from trtcal_widgets.widgets.kit.panels import Panel

if TYPE_CHECKING:
    import os
    from concurrent.futures import Executor

    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.trt.engine import Engine
    from trtcal_widgets.trt.log import LogLine


class BuildView(Panel):
    """The panel in the browser: ``state`` and ``log`` down, events up."""

    _esm = script("build/panel")
    _css = style("build")

    log = traitlets.Dict().tag(sync=True)


class BuildPanel(BoundBox):
    """Build a TensorRT engine, see how far it is, and step through the batches that TensorRT calibrates with.

    On the last line of a cell, or below an explorer: ``CalibrationExplorer(session, panels=[BuildPanel(session)])``.
    While TensorRT calibrates, the session counts up to the batch that TensorRT is given, so that an explorer of the
    session shows it, and stays at the last one afterwards. Only batches that are recorded are shown, unless the form
    says that the others are to be run here too. Histograms are those of the session's own runner: TensorRT hands out
    none while it calibrates.

    Without TensorRT the panel says what to install, and writes the files that a machine with TensorRT takes.

    Parameters
    ----------
    session
        A :class:`~trtcal_widgets.CalibrationSession`: its batches, or its scales.
    model
        The ONNX file; None for the session's own.
    engine_path
        Where the engine goes; None: named after the model, in the kernel's folder. The JSON beside it, and the
        calibration cache or Q/DQ model of the build, are named after it.
    executor
        Where the build takes place; None: a thread of its own, so that the kernel stays free.
    **build_options
        Further arguments of :func:`trtcal_widgets.trt.build`: ``profiles=``, ``plan=``, ``dla=``, ``workspace=``, ….
        With ``cache=``, ``calibrator=`` or ``int8=False`` the model is built with just these.

    Raises
    ------
    UsageError
        If there is neither a session nor a model, or an argument is not known.
    ModelError
        If the model is not the session's.

    Examples
    --------
    >>> BuildPanel(session, fp16=True)  # doctest: +SKIP
    >>> BuildPanel(model="model.onnx", cache="calibration.cache")  # doctest: +SKIP
    """

    binding: BuildBinding

    def __init__(
        self,
        session: CalibrationSession | None = None,
        model: str | os.PathLike[str] | None = None,
        *,
        engine_path: str | os.PathLike[str] | None = None,
        executor: Executor | None = None,
        **build_options: Any,
    ) -> None:
        job = Job(session, _model_of(session, model), check_options(build_options))
        path = Path(job.model.stem + ".engine") if engine_path is None else Path(engine_path)
        form = BuildForm(
            path=str(path),
            cache=str(path.with_suffix(".calibration.cache")),
            fp16=bool(build_options.get("fp16", False)),
        )
        self.session = session
        self.view = BuildView(help=HELP)
        super().__init__([self.view], executor)
        self.add_class("trtcal-build")
        self.binding = BuildBinding(job, self.view, self._executor, form)

    @property
    def engine(self) -> Engine | None:
        """The engine of the last build; None before it, or where it failed."""
        return self.binding.run.engine if self.binding.run else None

    @property
    def error(self) -> BaseException | None:
        """What ended the last build; None where nothing did."""
        return self.binding.run.error if self.binding.run else None

    @property
    def log(self) -> tuple[LogLine, ...]:
        """TensorRT's lines of the last build, up to 5,000 of each severity."""
        return tuple(self.binding.run.lines()) if self.binding.run else ()

    def _words(self) -> str:
        return self.binding.summary()


def _model_of(session: Any, model: Any) -> Path:
    """Return the ONNX file to build."""
    from trtcal_widgets.session import CalibrationSession

    if session is not None and not isinstance(session, CalibrationSession):
        raise UsageError(
            f"BuildPanel takes a CalibrationSession, not {type(session).__name__}; for a model alone: "
            'BuildPanel(model="model.onnx", cache="calibration.cache")'
        )
    if model is not None:
        return _checked(session, Path(model))
    if session is None:
        raise UsageError('BuildPanel needs a session, or a model: BuildPanel(session), BuildPanel(model="model.onnx")')
    own = getattr(session.runner, "model", None)
    path = getattr(own, "path", None)
    if path is None:
        raise UsageError(f'this session does not know where its model is: BuildPanel(session, "{session.graph.name}")')
    return Path(path)


def _checked(session: CalibrationSession | None, path: Path) -> Path:
    from trtcal_widgets.model.load import load_graph

    graph = load_graph(path)
    if session is not None and graph.sha256 != session.graph.sha256:
        raise ModelError(
            f"{path} is not the model of this session ({session.graph.name}): its bytes differ. Make a session of it, "
            "or leave model= out"
        )
    return path
