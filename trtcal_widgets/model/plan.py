"""The outcome of debugging: which layers stay in higher precision, and which scales were changed for it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from trtcal_widgets.common.damage import damage_as
from trtcal_widgets.common.files import read_whole, write_atomic
from trtcal_widgets.common.words import some_of
from trtcal_widgets.errors import ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trtcal_widgets.model.graph import ModelGraph, NodeInfo

__all__ = ["PrecisionPlan"]

_FORMAT = "trtcal_widgets precision plan"
_FORMAT_VERSION = 1


@dataclass(frozen=True)
class PrecisionPlan:
    """Layers that are kept in higher precision, by node name, and scales that replace the calibrated ones.

    Attributes
    ----------
    keep
        Names of nodes that are not quantised, each once, in graph order where the plan was made from a graph.
    precision
        What they run in: ``"fp16"`` or ``"fp32"``.
    amax
        Tensor name -> threshold in the tensor's unit that replaces the calibrated one.
    reasons
        Node or tensor name -> why it is in the plan, for people.
    model_sha256
        Hash of the model that the plan was made for; empty where it is meant for any.
    """

    keep: tuple[str, ...] = ()
    precision: Literal["fp16", "fp32"] = "fp16"
    amax: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    reasons: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    model_sha256: str = ""

    def __post_init__(self) -> None:
        if self.precision not in ("fp16", "fp32"):
            raise UsageError(f"a plan's precision is 'fp16' or 'fp32', not {self.precision!r}")
        if len(set(self.keep)) != len(self.keep):
            raise UsageError("a plan names each layer once")
        bad = {name: value for name, value in self.amax.items() if not 0 < value < float("inf")}
        if bad:
            name, value = next(iter(bad.items()))
            raise UsageError(f"the plan's amax of {name!r} must be finite and greater than 0, not {value}")

    def __bool__(self) -> bool:
        """Return whether the plan changes anything."""
        return bool(self.keep or self.amax)

    def nodes(self, graph: ModelGraph) -> tuple[NodeInfo, ...]:
        """Return the kept nodes in graph order.

        Raises
        ------
        ModelError
            If the model has no node of a name in the plan: the plan is for another model.
        """
        by_name = {node.name: node for node in graph.nodes}
        missing = [name for name in self.keep if name not in by_name]
        if missing:
            raise ModelError(
                f"the plan keeps {len(missing)} layer{'s' if len(missing) > 1 else ''} that {graph.name} does not "
                f"have: {some_of(missing)}. Was the plan made for another model, or was the model exported again?"
            )
        return tuple(sorted((by_name[name] for name in self.keep), key=lambda node: node.index))

    def with_kept(self, names: Iterable[str], reason: str = "") -> PrecisionPlan:
        """Return a plan that keeps the nodes of these ``names`` as well; ``reason`` says why, for people."""
        new = [name for name in dict.fromkeys(names) if name not in self.keep]
        reasons = {**self.reasons, **(dict.fromkeys(new, reason) if reason else {})}
        return replace(self, keep=(*self.keep, *new), reasons=MappingProxyType(reasons))

    def without(self, names: Iterable[str]) -> PrecisionPlan:
        """Return a plan that quantises the nodes of these ``names`` again."""
        gone = set(names)
        return replace(
            self,
            keep=tuple(name for name in self.keep if name not in gone),
            reasons=MappingProxyType({name: why for name, why in self.reasons.items() if name not in gone}),
        )

    def with_amax(self, amax: Mapping[str, float], reason: str = "") -> PrecisionPlan:
        """Return a plan with thresholds set: ``amax`` is tensor name -> threshold > 0 in the tensor's unit.

        ``reason`` says why, for people. A UsageError where a threshold is not finite and greater than 0.
        """
        reasons = {**self.reasons, **(dict.fromkeys(amax, reason) if reason else {})}
        return replace(self, amax=MappingProxyType({**self.amax, **amax}), reasons=MappingProxyType(reasons))

    def without_amax(self, names: Iterable[str]) -> PrecisionPlan:
        """Return a plan in which the tensors of these ``names`` have their calibrated thresholds again."""
        gone = set(names)
        return replace(
            self,
            amax=MappingProxyType({name: amax for name, amax in self.amax.items() if name not in gone}),
            reasons=MappingProxyType({name: why for name, why in self.reasons.items() if name not in gone}),
        )

    def to_json(self) -> str:
        """Return the plan as JSON text."""
        return json.dumps(
            {
                "format": _FORMAT,
                "format_version": _FORMAT_VERSION,
                "precision": self.precision,
                "keep": list(self.keep),
                "amax": dict(self.amax),
                "reasons": dict(self.reasons),
                "model_sha256": self.model_sha256,
            },
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> PrecisionPlan:
        """Read what :meth:`to_json` gave.

        Raises
        ------
        UsageError
            If the text is not a plan; the message says what is wrong with it.
        """
        with damage_as(
            UsageError,
            "this is not a precision plan",
            "Give a plan that `trtcal debug --plan` wrote (in Python: PrecisionPlan.save)",
        ):
            data: Any = json.loads(text)
            known = data["format"] == _FORMAT and data["format_version"] <= _FORMAT_VERSION
            plan = cls(
                keep=tuple(str(name) for name in data["keep"]),
                precision=data["precision"],
                amax=MappingProxyType({str(k): float(v) for k, v in data["amax"].items()}),
                reasons=MappingProxyType({str(k): str(v) for k, v in data["reasons"].items()}),
                model_sha256=str(data["model_sha256"]),
            )
        if not known:
            raise UsageError("this JSON is not a precision plan that this version can read")
        return plan

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan as JSON, atomically."""
        write_atomic(path, self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PrecisionPlan:
        """Read a plan from a file that :meth:`save` wrote; a UsageError where it is missing or no plan."""
        try:
            return cls.from_json(read_whole(path, error=UsageError, what="the precision plan"))
        except UsageError as error:
            text = str(error)
            shown = os.fsdecode(path)
            raise UsageError(text if shown in text else f"{shown}: {text}") from error
