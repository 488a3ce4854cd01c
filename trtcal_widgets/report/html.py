"""HTML that cannot be broken by what stands in it: everything that is not markup already is escaped."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Union

from trtcal_widgets.common.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

Content = Union["Html", str, int, None]

_VOID = frozenset({"meta"})
"""Elements that have no content here."""


class Html(str):
    """Markup, as opposed to text that must be escaped. Only this module and constants make it."""

    __slots__ = ()


def tag(name: str, *content: Content, **attributes: object) -> Html:
    """Return an element.

    ``content``: :class:`Html` is taken as it is, anything else is text and escaped; None is left out. ``attributes``:
    escaped. ``class_`` and ``for_`` lose the underscore, others turn theirs into hyphens; True is written without a
    value, False and None are left out.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(content)}</{name}>")


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    shown = key.rstrip("_").replace("_", "-")
    return f" {shown}" if value is True else f' {shown}="{html.escape(_clean(str(value)))}"'


def join(parts: Iterable[Content]) -> Html:
    """Return parts behind each other, text escaped."""
    given = (part for part in parts if part is not None)
    return Html("".join(p if isinstance(p, Html) else html.escape(_clean(str(p)), quote=False) for p in given))


def _clean(text: str) -> str:
    """Write control characters as escapes, lines kept: no text may turn the direction of what stands beside it."""
    return "\n".join(map(printable, text.split("\n")))


def name_of(name: str) -> Html:
    """Return a tensor's or node's name: on one line, its direction of writing kept to itself, whole on hover."""
    shown = printable(name)
    return tag("bdi", shown, class_="name", title=shown)
