"""What an input of a model is read by: the first operators that have numbers of their own.

Those that only move values, cut, pool or join them (``Slice``, ``Resize``, ``Concat``) read pixels of 0 to 255 and of 0
to 1 alike. What tells the two apart is the first layer, normalisation or arithmetic behind them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trtcal_widgets.export.port.graph import Side, Step

_MOVING = frozenset(
    {
        "AveragePool", "Cast", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GlobalAveragePool",
        "GlobalMaxPool", "Identity", "MaxPool", "Pad", "Relu", "Reshape", "Resize", "Shape", "Size", "Slice",
        "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Upsample",
    }
)  # fmt: skip


def has_numbers(step: Step) -> bool:
    """Whether a step says something about the values that it reads: it has weights, or constants to compute with."""
    if step.weights is not None or step.op == "Clip":
        return True
    if step.op == "Gather":  # the rows of a table, by indices that are an input; or values, by constant indices
        return any(_is_float(code) for code in step.constants)
    return step.op not in _MOVING and any(_is_float(code) for code in step.constants)


def _is_float(code: str) -> bool:
    return " f (" in code or code.startswith("computed float")


def first_values(side: Side, name: str) -> Iterator[tuple[Step, str]]:
    """Yield the first steps with numbers on the ways from a tensor on, each with the way to it as text.

    Where there is none on any way, the tensor's own readers are what there is.
    """
    found = []
    waiting, seen = [(name, "")], {name}
    while waiting:
        tensor, way = waiting.pop()
        for step in side.readers.get(tensor, ()):
            place = "" if step.op in ("Add", "Mul", "Max", "Min", "Sum") else str(step.inputs.index(tensor))
            here = f"{way}/{place}"
            if has_numbers(step):
                found.append((step, here))
                continue
            for i, output in enumerate(step.outputs):
                if output not in seen and step.op not in ("Shape", "Size"):
                    seen.add(output)
                    waiting.append((output, f"{here} {step.op} {step.key} {i}"))
    yield from found or [(step, str(step.inputs.index(name))) for step in side.readers.get(name, ())]
