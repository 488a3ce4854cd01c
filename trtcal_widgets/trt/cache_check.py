"""Whether a calibration cache is one for this TensorRT, this calibrator and this model: said before it is used."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from trtcal_widgets.core.arguments import one_of
from trtcal_widgets.core.cache import compare_with_names, header_fits
from trtcal_widgets.core.format_text import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trtcal_widgets.core.cache import CalibrationCache

__all__ = ["ALGORITHMS", "CacheReport", "check_algorithm", "check_cache"]

ALGORITHMS = MappingProxyType(
    {
        "entropy2": "EntropyCalibration2",
        "entropy": "EntropyCalibration",
        "minmax": "MinMaxCalibration",
        "legacy": "LegacyCalibration",
    }
)
"""This package's short names -> TensorRT's, as they stand in a cache's header."""

_OWN_SHARE = 0.5
"""Below this share of rows that are tensors of the model, a cache is taken to be another model's."""


@dataclass(frozen=True)
class CacheReport:
    """What is to be said about a cache before it is used.

    Attributes
    ----------
    source
        The file's name.
    header
        Why TensorRT would not take it (another version or algorithm); empty where it would.
    model
        Why it looks like another model's; empty where it does not, or where the model is not known.
    missing
        Tensors of the model without a row: TensorRT runs their layers in higher precision.
    """

    source: str
    header: str = ""
    model: str = ""
    missing: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether TensorRT would take it and it is this model's."""
        return not (self.header or self.model)

    def __str__(self) -> str:
        """Return the report in words."""
        parts = [f"{self.source}: {text}" for text in (self.header, self.model) if text]
        if self.missing:
            more = f" and {len(self.missing) - 3} more" if len(self.missing) > 3 else ""
            named = ", ".join(map(quote, self.missing[:3])) + more
            parts.append(
                f"{self.source}: no row for {named}; TensorRT runs the layers that need one in higher precision"
            )
        return "\n".join(parts) or f"{self.source}: fits"


def check_algorithm(algorithm: str) -> str:
    """Return TensorRT's name of an algorithm.

    Raises
    ------
    UsageError
        If there is no such algorithm.
    """
    return ALGORITHMS[one_of(algorithm, tuple(ALGORITHMS), "algorithm")]


def check_cache(
    cache: CalibrationCache,
    *,
    version: str,
    algorithm: str,
    tensors: Iterable[str] = (),
    also_known: Iterable[str] = (),
    constants: Iterable[str] = (),
) -> CacheReport:
    """Compare a cache with where it is to be used.

    Parameters
    ----------
    cache
        The cache.
    version
        The TensorRT that will read it, as it calls itself.
    algorithm
        ``"entropy2"``, ``"entropy"``, ``"minmax"`` or ``"legacy"``.
    tensors
        The names that should have a row; none where the model is not known.
    also_known
        Other tensors of the model, which may have one.
    constants
        Which of ``tensors`` are constants, whose rows TensorRT 10 names ``<constant>_output``.
    """
    fit = header_fits(cache, ".".join(version.split(".")[:3]), check_algorithm(algorithm))
    wanted = tuple(tensors)
    header = "" if fit.verdict == "reuse" else fit.message
    if not wanted:
        return CacheReport(cache.source, header)
    names = compare_with_names(cache, wanted, also_known=also_known, constants=constants)
    own = len(names.matched)
    told = own + len(names.unknown)
    model = ""
    if not own or own < told * _OWN_SHARE:
        strangers = ", ".join(map(quote, names.unknown[:3])) or "made-up names only"
        model = (
            f"{own} of its {told} rows are tensors of this model (not: {strangers}), so it is another model's or "
            "another export's. `trtcal port` carries scales over between exports of one model."
        )
    return CacheReport(cache.source, header, model, names.missing)
