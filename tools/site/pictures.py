"""Hook of mkdocs: a picture is a link to itself, as on GitHub, so that it can be seen in its own size."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.structure.pages import Page

PICTURE = re.compile(r'<img\b[^>]*?\bsrc="([^"#]+\.(?:gif|png|webp))(#[^"]*)?"[^>]*>')
LINK = re.compile(r"(<a\b.*?</a>)", re.DOTALL)


def on_page_content(content: str, *, page: Page, **_: object) -> str:
    """Link the pictures of a page."""
    del page
    return enlarged(content)


def enlarged(content: str) -> str:
    """Return HTML whose pictures are links to themselves, but for those in a link."""
    parts = LINK.split(content)
    parts[::2] = [PICTURE.sub(lambda found: f'<a href="{found[1]}">{found[0]}</a>', part) for part in parts[::2]]
    return "".join(parts)
