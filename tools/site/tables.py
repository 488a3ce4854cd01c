"""Hook of mkdocs: a bar in the code of a table's cell has a backslash before it, which is not shown, as on GitHub."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.structure.pages import Page

CELL = re.compile(r"<td\b.*?</td>", re.DOTALL)
CODE = re.compile(r"<code>[^<]*</code>")


def on_page_content(content: str, *, page: Page, **_: object) -> str:
    """Mend the tables of a page."""
    del page
    return with_bars(content)


def with_bars(content: str) -> str:
    """Return HTML in which code in cells has bars alone."""
    return CELL.sub(lambda cell: CODE.sub(lambda code: code[0].replace("\\|", "|"), cell[0]), content)
