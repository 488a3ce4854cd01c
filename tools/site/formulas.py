"""Hook of mkdocs: formulas become MathML when the site is built, so that browsers need no script for them."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.structure.pages import Page

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
LOGARITHM = re.compile(r"<mi>ln</mi>|<msub><mi>log</mi>.*?</msub>")
THIN = '<mspace width="0.17em"/>'


def on_page_content(content: str, *, page: Page, **_: object) -> str:
    """Replace what the Markdown extension marked as a formula."""
    from latex2mathml.converter import convert

    del page

    def formula(found: re.Match[str]) -> str:
        inline = found[2] == "("
        mathml = spaced(convert(html.unescape(found[3]), display="inline" if inline else "block"))
        return mathml if inline else f'<div class="formula">{mathml}</div>'

    return FORMULA.sub(formula, content)


def spaced(mathml: str) -> str:
    """Return MathML with thin spaces around logarithms, which browsers would run into their neighbours."""
    return LOGARITHM.sub(lambda found: f"{THIN}{found[0]}{THIN}", mathml)
