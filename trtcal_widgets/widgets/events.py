"""What the front end may say: every message is checked before anything acts on it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Event", "parse_event"]

_LONGEST_TEXT = 65_536

_EXPORT: dict[str, type] = {"algorithm": str, "version": str, "rows": str, "path": str}

_FIELDS: Mapping[str, tuple[dict[str, type], ...]] = MappingProxyType(
    {
        **{
            name: ({},)
            for name in (
                "first", "back", "play", "forward", "last", "cancel",
                "undo", "redo", "reset", "reset_all", "dismiss",
            )
        },
        "seek": ({"position": int},),
        "exclude": ({"batch": int},),
        "include": ({"batch": int},),
        "select": ({"index": int},),
        "select_name": ({"name": str},),
        "choose": ({"method": str}, {"amax": str}),
        "choose_all": ({"method": str},),
        "counts": ({"scale": str},),
        "export_set": (_EXPORT,),
        "export_write": ({**_EXPORT, "replace": bool},),
        "export_preview": ({"open": bool},),
    }
)  # fmt: skip
"""Kind of message -> the forms it may have: exactly these fields, of exactly these types."""


@dataclass(frozen=True)
class Event:
    """A checked message: its kind, and its values."""

    type: str
    values: Mapping[str, Any]


def parse_event(content: Any) -> Event | None:
    """Return the event that a message means; None for anything else.

    A front end of another version, or anything that writes to the kernel, may send what it likes: what is not
    exactly one of the known forms is no event.
    """
    if not isinstance(content, dict):
        return None
    kind = content.get("type")
    forms = _FIELDS.get(kind) if isinstance(kind, str) else None
    if forms is None:
        return None
    values = {key: value for key, value in content.items() if key != "type"}
    fits = any(
        values.keys() == form.keys() and all(_is(values[key], wanted) for key, wanted in form.items()) for form in forms
    )
    return Event(str(kind), MappingProxyType(values)) if fits else None


def _is(value: Any, wanted: type) -> bool:
    """Whether a value is exactly of a type: True is no 1 here."""
    if type(value) is not wanted:
        return False
    return not isinstance(value, str) or len(value) <= _LONGEST_TEXT
