"""JSON objects that remember repeated keys, and the numbers in them."""

from __future__ import annotations

import math
from typing import Any


class Pairs:
    """A JSON object that remembers repeated keys."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs

    def get(self, key: str) -> Any:
        """Return the last value of a key; None where there is none."""
        return dict(self.pairs).get(key)


def plain(value: Any) -> Any:
    """Return JSON with objects as dicts; the last of a repeated key counts."""
    stack: list[tuple[Any, Any, Any]] = []
    top = [value]
    stack.append((top, 0, value))
    while stack:
        holder, key, one = stack.pop()
        if isinstance(one, Pairs):
            holder[key] = made = dict(one.pairs)
            stack.extend((made, name, inner) for name, inner in made.items())
        elif isinstance(one, list):
            holder[key] = copied = list(one)
            stack.extend((copied, index, inner) for index, inner in enumerate(copied))
    return top[0]


def numbers(value: Any) -> list[float]:
    """Numbers of a JSON number or of ONNX Runtime's array object; empty for anything else."""
    if isinstance(value, Pairs) and value.get("CLS") == "numpy.array":
        value = value.get("data")
    values = value if isinstance(value, list) else [value]
    return values if all(isinstance(number, float) for number in values) else []


def larger(low: float, high: float) -> float:
    """Return the larger |value|; NaN stays NaN."""
    return math.nan if math.isnan(low) or math.isnan(high) else max(abs(low), abs(high))
