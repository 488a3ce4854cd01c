"""Hook of mkdocs: Sphinx's roles in docstrings become code, and links where a page of the reference has the name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.structure.pages import Page

_KIND = r":(?:py:)?(?:attr|class|data|exc|func|meth|mod|obj):"
ROLE = re.compile(_KIND + r"<code>(~|\.)?([\w.]+)(\(\))?</code>")
WITH_TITLE = re.compile(_KIND + r"<code>([^<]+?)\s*&lt;([\w.]+)&gt;</code>")


def on_page_content(content: str, *, page: Page, **_: object) -> str:
    """Replace the roles of a page."""
    del page
    return linked(content)


def linked(content: str) -> str:
    """Return HTML whose roles are code; a full name is a link where the reference has it, and nothing elsewhere."""

    def code(found: re.Match[str]) -> str:
        mark, name, call = found[1], found[2], found[3] or ""
        return _link(name, (name.rpartition(".")[2] if mark else name) + call)

    return ROLE.sub(code, WITH_TITLE.sub(lambda found: _link(found[2], found[1]), content))


def _link(name: str, shown: str) -> str:
    if not name.startswith("trtcal_widgets."):
        return f"<code>{shown}</code>"
    return f'<autoref identifier="{name}" optional hover><code>{shown}</code></autoref>'
