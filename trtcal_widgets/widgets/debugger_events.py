"""What the debugger's front end may say: every message is checked before anything acts on it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trtcal_widgets.widgets.events import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["parse_event"]

_LONGEST_TEXT = 65_536

_FIELDS: Mapping[str, dict[str, type]] = MappingProxyType(
    {
        **{name: {} for name in ("run", "cancel", "undo", "redo", "dismiss", "clear", "adopt", "try")},
        "auto": {"on": bool},
        "layer": {"index": int},
        "tensor": {"name": str},
        "keep": {"index": int, "on": bool},
        "use": {"method": str},
        "precision": {"precision": str},
        "find": {"target": str, "precision": str, "scales": bool},
        "export_kind": {"kind": str},
        "export_path": {"path": str},
        "export_write": {"path": str, "replace": bool},
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
