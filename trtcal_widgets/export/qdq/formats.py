"""What values are quantised to: INT8, or FP8 (E4M3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from trtcal_widgets.common.arguments import one_of
from trtcal_widgets.core.fp8 import E4M3_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class QdqFormat:
    """One element type.

    Attributes
    ----------
    name
        ``"int8"`` or ``"fp8"``.
    levels
        What amax becomes: scale = amax / levels.
    type_name
        The name of ONNX's element type.
    opset
        The first opset whose QuantizeLinear and DequantizeLinear take it, per channel.
    no_kernel
        Operator -> why it is left in higher precision in this format.
    note
        What the report says of it; empty for INT8.
    """

    name: str
    levels: float
    type_name: str
    opset: int
    no_kernel: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def of_int8(self) -> float:
        """What an INT8 scale is multiplied with to become this format's, for the same amax."""
        return 127.0 / self.levels


_POOL = "TensorRT pools in no FP8: a pair in front of it would only round"

INT8 = QdqFormat("int8", 127.0, "INT8", 13)
FP8 = QdqFormat(
    "fp8",
    E4M3_MAX,
    "FLOAT8E4M3FN",
    19,
    MappingProxyType(
        {
            "ConvTranspose": "TensorRT has no FP8 deconvolution: a pair in front of it would only round",
            "AveragePool": _POOL,
            "GlobalAveragePool": _POOL,
        }
    ),
    "FP8 (E4M3, scale = amax / 448) needs TensorRT 10 or later and an Ada, Hopper or Blackwell GPU",
)

FORMATS: Mapping[str, QdqFormat] = MappingProxyType({"int8": INT8, "fp8": FP8})


def find_format(name: str) -> QdqFormat:
    """Return a format by its name.

    Raises UsageError if there is none of that name.
    """
    return FORMATS[one_of(name, tuple(FORMATS), "format")]
