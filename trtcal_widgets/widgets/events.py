"""What a front end may say: every message is checked before anything acts on it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Form = Mapping[str, type]
    """The fields of a message: exactly these, of exactly these types."""

    EventParser = Callable[[Any], "Event | None"]

__all__ = ["Event", "event_parser"]

_LONGEST_TEXT = 65_536


@dataclass(frozen=True)
class Event:
    """A checked message: its kind, and its values."""

    type: str
    values: Mapping[str, Any]


def event_parser(forms: Mapping[str, Form | tuple[Form, ...]]) -> EventParser:
    """Return the function that tells which event a message means; None for anything else.

    A front end of another version, or anything that writes to the kernel, may send what it likes: what is not
    exactly one of the known forms is no event.

    Parameters
    ----------
    forms
        Kind of message -> its fields, or several sets of fields to pick from.
    """
    known = {kind: form if isinstance(form, tuple) else (form,) for kind, form in forms.items()}

    def parse(content: Any) -> Event | None:
        kind = content.get("type") if isinstance(content, dict) else None
        if not isinstance(kind, str):
            return None
        values = {key: value for key, value in content.items() if key != "type"}
        fits = any(_fits(values, form) for form in known.get(kind, ()))
        return Event(kind, MappingProxyType(values)) if fits else None

    return parse


def _fits(values: Mapping[str, Any], form: Form) -> bool:
    return values.keys() == form.keys() and all(_is(values[key], wanted) for key, wanted in form.items())


def _is(value: Any, wanted: type) -> bool:
    """Whether a value is exactly of a type: True is no 1 here."""
    if type(value) is not wanted:
        return False
    return not isinstance(value, str) or len(value) <= _LONGEST_TEXT
