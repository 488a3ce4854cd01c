"""Colours of the debugger's plots: FP32 is grey, INT8 violet, the plan teal, error red; no method has these."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.widgets.palette import Theme

__all__ = ["INT8", "INT8_FILL", "LAYER_OUT", "LAYER_OWN", "PLAN", "ERROR", "ERROR_FILL"]  # noqa: RUF022 - by what they draw

INT8: Mapping[Theme, str] = MappingProxyType({"light": "#6a3fc4", "dark": "#b79bff"})
INT8_FILL: Mapping[Theme, str] = MappingProxyType({"light": "rgba(106,63,196,0.10)", "dark": "rgba(183,155,255,0.12)"})
ERROR: Mapping[Theme, str] = MappingProxyType({"light": "#c22828", "dark": "#ff8a80"})
ERROR_FILL: Mapping[Theme, str] = MappingProxyType({"light": "rgba(194,40,40,0.16)", "dark": "rgba(255,138,128,0.18)"})
PLAN: Mapping[Theme, str] = MappingProxyType({"light": "#0b7285", "dark": "#3bc9db"})
LAYER_OWN: Mapping[Theme, str] = MappingProxyType({"light": "#57606a", "dark": "#b1bac4"})
LAYER_OUT: Mapping[Theme, str] = MappingProxyType({"light": "#b35900", "dark": "#ffb454"})
