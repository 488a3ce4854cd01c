"""One state to all views of the debugger: which part goes where. Views do not know each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.widgets.debugger.detail import (
    build_sqnr_plot,
    build_tensor_plot,
    debug_network,
    detail_state,
    number_cells,
)
from trtcal_widgets.widgets.debugger.export_form import export_state
from trtcal_widgets.widgets.debugger.front_view import build_front_plot
from trtcal_widgets.widgets.debugger.hazards import hazards_state
from trtcal_widgets.widgets.debugger.layers import layer_columns, layer_rows
from trtcal_widgets.widgets.debugger.summary import DebugScreen, shell_state, summary_state
from trtcal_widgets.widgets.kit.network import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from trtcal_widgets.debug.controller import AccuracyDebugging
    from trtcal_widgets.widgets.debugger.panels import DebugLayersPanel
    from trtcal_widgets.widgets.debugger.views import DebugViews


class Parts:
    """What was made last: what is made of the same results is not made again."""

    asked: Any = None
    """The comparison and the tensor for which a closer look was asked for last."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[tuple[Any, ...], Any]] = {}

    def of(self, name: str, results: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return a part, made anew where one of the results that it is made of is another object."""
        known = self._made.get(name)
        if known is None or any(a is not b for a, b in zip(results, known[0], strict=True)):
            known = self._made[name] = (results, make())
        return known[1]


def render(views: DebugViews, debugging: AccuracyDebugging, screen: DebugScreen, parts: Parts) -> None:
    """Draw; what is the same as before is left alone."""
    state, selected = debugging.state, debugging.session.state.selected
    views.shell.show(**shell_state(debugging, screen))
    views.summary.show(**summary_state(debugging))
    _render_layers(views.layers, debugging, screen, parts)
    tuned = (state.tuned, state.plan, state.target)
    views.front_box.layout.display = "none" if state.tuned is None else ""
    views.front.render(parts.of("front", tuned, lambda: build_front_plot(debugging)))
    curves = (state.comparison, state.ranking, state.planned_tensors, bool(state.stale))
    views.sqnr.render(parts.of("sqnr", curves, lambda: build_sqnr_plot(debugging)), selected)
    near = (state.comparison, state.planned_tensors, selected)
    rows = parts.of("rows of the network", (debugging.session.graph,), lambda: rows_of(debugging.session.graph))
    views.network.show(**parts.of("network", near, lambda: debug_network(debugging, selected, rows)))
    tensor = (state.comparison, selected, state.details.get(selected))
    views.tensor.render(parts.of("tensor", tensor, lambda: build_tensor_plot(debugging, selected)))
    views.detail.show(**detail_state(debugging, selected, screen.layer))
    views.numbers.show(numbers=number_cells(debugging, selected, screen.layer), members=[])
    views.hazards.show(**hazards_state(debugging))
    views.export.show(**export_state(debugging, screen.form))


def _render_layers(panel: DebugLayersPanel, debugging: AccuracyDebugging, screen: DebugScreen, parts: Parts) -> None:
    state, simulation = debugging.state, debugging.simulation
    layers = () if simulation is None else simulation.layers
    fp32 = state.comparison.fp32.value if state.comparison is not None else 0.0
    results = (simulation, state.comparison, state.ranking)
    panel.columns = parts.of("columns", (simulation,), lambda: layer_columns(debugging))
    panel.rows = parts.of("rows", results, lambda: layer_rows(layers, state.ranking, fp32))
    kept = set(state.plan.keep)
    panel.show(empty=_empty(debugging))
    panel.keep = [i for i, name in enumerate(layers) if name in kept]
    panel.selected = layers.index(screen.layer) if screen.layer in layers else -1


def _empty(debugging: AccuracyDebugging) -> str:
    state = debugging.state
    if state.ranking is not None:
        return "INT8 reaches no layer of this model."
    if state.phase == "running" and state.work == "run":
        return "Layers are ranked once the comparison is done …"
    return (
        "Press run to see what each layer costs."
        if state.comparison is None
        else "The ranking is missing: press refresh."
    )
