"""Where the debugger's events meet its controller: the only module of it that listens.

Events come up and become calls of the controller or the session; their changes come back as one drawing. Slow work
runs in an executor and is brought back to the kernel's main thread. Errors are caught here, and shown.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import count_of
from trtcal_widgets.debug.state import Basis, basis_of
from trtcal_widgets.errors import CancelledError, UsageError
from trtcal_widgets.widgets.debugger.export_form import KINDS, ExportForm, write_export
from trtcal_widgets.widgets.debugger.layers import layer_of, worst_input
from trtcal_widgets.widgets.debugger.rendering import Parts, render
from trtcal_widgets.widgets.debugger.summary import DebugScreen
from trtcal_widgets.widgets.kit.boundary import Boundary, event_parser

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from trtcal_widgets.debug.controller import AccuracyDebugging
    from trtcal_widgets.widgets.debugger.views import DebugViews

parse_event = event_parser(
    {
        **{name: {} for name in ("run", "cancel", "undo", "redo", "dismiss", "clear", "adopt", "try", "tune")},
        "auto": {"on": bool},
        **{name: {"index": int} for name in ("layer", "take")},
        **{name: {"name": str} for name in ("tensor", "select_name")},
        "keep": {"index": int, "on": bool},
        "use": {"method": str},
        "precision": {"precision": str},
        "target": {"target": str},
        "find": {"target": str, "precision": str, "scales": bool},
        "export_kind": {"kind": str},
        "export_path": {"path": str},
        "export_write": {"path": str, "replace": bool},
    }
)


_PLACE = frozenset({"selected", "choices", "method", "data"})
"""Changes of the session that change what is drawn."""


class DebugBinding(Boundary):
    """Binds a controller and its session to the views of one debugger."""

    _WHAT = "the debugger"
    _ADVICE = " Your session is unharmed: save it with session.save(path)."

    def __init__(self, debugging: AccuracyDebugging, views: DebugViews, executor: Executor, *, auto: bool) -> None:
        super().__init__(executor, parse_event)
        self._debugging = debugging
        self._session = debugging.session
        self._views = views
        self._plan_job = 0
        self._tried: Basis | None = None
        self._opened_at: str | None = self._session.state.selected
        self._parts = Parts()
        self.screen = DebugScreen(form=ExportForm(), auto=auto)
        self._bind(views.shell, views.panels, views.plots)
        self._hear(debugging)
        self._hear(self._session, _PLACE)
        self._draw()

    # ---- what the user asks for -------------------------------------------------------------------------------

    def _on_run(self) -> None:
        if not self.running:
            self._tried = basis_of(self._session)
            self._start(self._debugging.run, self._finished)

    def _on_cancel(self) -> None:
        self._debugging.cancel()

    def _on_auto(self, on: bool) -> None:
        self.screen = replace(self.screen, auto=on)
        self._tried = None

    def _on_layer(self, index: int) -> None:
        """Look at what the layer quantises: of several inputs at the one that its scale serves worst."""
        layer = self._layer(index)
        self.screen = replace(self.screen, layer=layer)
        self._session.update(selected=worst_input(self._debugging, layer))

    def _on_tensor(self, name: str) -> None:
        self._session.update(selected=name)

    _on_select_name = _on_tensor

    def _layer(self, index: int) -> str:
        simulation = self._debugging.simulation
        layers = () if simulation is None else simulation.layers
        if not 0 <= index < len(layers):
            there = count_of(len(layers), "layer is", "layers are")
            raise UsageError(f"{there} there, counted from 0, not one with the number {index}")
        return layers[index]

    def _on_keep(self, index: int, on: bool) -> None:
        self._debugging.keep(self._layer(index), on)
        self._score_plan()

    def _on_undo(self) -> None:
        self._debugging.undo()
        self._score_plan()

    def _on_redo(self) -> None:
        self._debugging.redo()
        self._score_plan()

    def _on_clear(self) -> None:
        plan = self._debugging.state.plan
        self._debugging.set_plan(replace(plan, keep=(), amax={}, reasons={}))

    def _on_precision(self, precision: str) -> None:
        self._debugging.set_plan(replace(self._debugging.state.plan, precision=precision))  # type: ignore[arg-type]
        self._score_plan()

    def _on_adopt(self) -> None:
        self._debugging.adopt_scales()
        self._score_plan()

    def _on_target(self, target: str) -> None:
        self._debugging.aim(_percent(target))

    def _on_find(self, target: str, precision: str, scales: bool) -> None:
        self._on_target(target)
        find: Any = self._debugging.find_plan
        self._start(lambda: find(precision=precision, scales=scales), self._finished)

    def _on_tune(self) -> None:
        precision: Any = self._debugging.state.plan.precision
        self._start(lambda: self._debugging.tune(precision=precision), self._finished)

    def _on_take(self, index: int) -> None:
        """Take the plan of a point of the front; points without pairs have none."""
        tuned = self._debugging.state.tuned
        points = () if tuned is None else tuned.points
        if not 0 <= index < len(points):
            raise UsageError(f"there are {len(points)} tuned variants, counted from 0, not one with the number {index}")
        plan = points[index].plan
        if plan is None:
            raise UsageError(f"“{points[index].name}” has no Q/DQ pairs, and so no plan: click another point")
        self._debugging.set_plan(plan)
        self._score_plan()

    def _on_try(self) -> None:
        name = self._session.state.selected
        self._start(lambda: self._debugging.try_methods(name), self._finished)

    def _on_use(self, method: str) -> None:
        self._debugging.use_method(self._session.state.selected, method)

    def _on_export_kind(self, kind: str) -> None:
        if kind not in KINDS:
            raise UsageError(f"there is no export {kind!r}; there are {', '.join(KINDS)}")
        self.screen = replace(self.screen, form=ExportForm(KINDS[kind].path, kind=kind))

    def _on_export_path(self, path: str) -> None:
        self.screen = replace(self.screen, form=ExportForm(path, kind=self.screen.form.kind))

    def _on_export_write(self, path: str, replace: bool) -> None:
        self._on_export_path(path)
        form = self.screen.form
        self._write(lambda: write_export(self._debugging, form, replace=replace))

    # ---- slow work --------------------------------------------------------------------------------------------

    def _finished(self, error: BaseException | None) -> None:
        self._refresh_if_auto()
        self._changed()
        self._say_why(error)

    def _score_plan(self) -> None:
        """Score the newest plan; of several changes in a row only the last one is scored."""
        if self._debugging.simulation is None:
            return
        self._plan_job += 1
        job = self._plan_job
        self._beside(lambda: self._debugging.score_plan() if job == self._plan_job else None)

    def _look(self) -> None:
        """Look closer at the selected tensor, unless another one is selected by then."""
        name, state = self._session.state.selected, self._debugging.state
        comparison = state.comparison
        if comparison is None or name in state.details or name not in comparison.tensors or state.phase == "running":
            return
        asked = (comparison, name)
        if self._parts.asked != asked:
            self._parts.asked = asked
            self._beside(lambda: self._debugging.look_at(name) if self._session.state.selected == name else None)

    def _beside(self, work: Callable[[], object]) -> None:
        """Do something slow behind what goes on already."""
        self._submit(work, lambda future: self._say_why(future.exception()))

    def _say_why(self, error: BaseException | None) -> None:
        """Show what went wrong, unless the results tell it."""
        if error is None or isinstance(error, CancelledError):
            return
        words = self._in_words(error)
        if self._debugging.state.phase != "failed":
            self._tell(words)

    def _refresh_if_auto(self) -> None:
        """Run again where results are out of date; what failed or was cancelled is not tried again by itself."""
        state = self._debugging.state
        ready = self.screen.auto and not self.running and state.comparison is not None
        if ready and state.stale and basis_of(self._session) != self._tried:
            self._on_run()

    # ---- state down -------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        super()._flush()
        if not self._closed:
            self.guarded(self._refresh_if_auto)

    def _open_at_worst(self) -> None:
        """Look at the worst layer once the layers are ranked, unless the user looks at another tensor by then."""
        ranking, opened_at = self._debugging.state.ranking, self._opened_at
        if opened_at is None or not ranking or self._debugging.simulation is None:
            return
        self._opened_at = None
        if self._session.state.selected == opened_at:
            self._on_layer(self._debugging.simulation.layers.index(ranking[0].node))

    def _draw(self, _changed: frozenset[str] = frozenset()) -> None:
        self._open_at_worst()
        layer = layer_of(self._debugging, self._session.state.selected, self.screen.layer)
        render(self._views, self._debugging, replace(self.screen, layer=layer), self._parts)
        self._look()

    def _stop_work(self) -> None:
        self._debugging.close()


def _percent(text: str) -> float:
    try:
        share = float(text.strip().rstrip("%").strip().replace(",", ".")) / 100
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise UsageError(
            f"the goal is a share of FP32's accuracy in percent, more than 0 and at most 100, not {text!r}"
        )
    return share
