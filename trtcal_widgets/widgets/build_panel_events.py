"""What the build panel's front end may say."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trtcal_widgets.widgets.events import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["parse_event"]

_LONGEST_TEXT = 65_536

_FORM: dict[str, type] = {
    "mode": str, "algorithm": str, "follow": str, "fp16": bool, "hold": bool, "path": str, "cache": str,
}  # fmt: skip

_FIELDS: Mapping[str, dict[str, type]] = MappingProxyType(
    {
        **{name: {} for name in ("pause", "resume", "step", "cancel", "dismiss", "look")},
        "set": _FORM,
        "build": {**_FORM, "replace": bool},
        "severity": {"least": str},
        "write": {"kind": str, "replace": bool},
    }
)
"""Kind of message -> its fields: exactly these, of exactly these types."""


def parse_event(content: Any) -> Event | None:
    """Return the event that a message means; None for anything else."""
    if not isinstance(content, dict) or not isinstance(content.get("type"), str):
        return None
    fields = _FIELDS.get(content["type"])
    values = {key: value for key, value in content.items() if key != "type"}
    if fields is None or values.keys() != fields.keys():
        return None
    fits = all(type(values[key]) is wanted and _short(values[key]) for key, wanted in fields.items())
    return Event(content["type"], MappingProxyType(values)) if fits else None


def _short(value: Any) -> bool:
    return not isinstance(value, str) or len(value) <= _LONGEST_TEXT
