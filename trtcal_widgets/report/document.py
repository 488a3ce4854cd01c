"""A page that is whole in itself: its style and its script inside, nothing fetched, whatever stands in a name."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from trtcal_widgets.common.palette import METHOD_STYLES
from trtcal_widgets.common.words import printable
from trtcal_widgets.errors import UsageError
from trtcal_widgets.report.html import Html, join, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HERE = Path(__file__).parent


Part = tuple[str, str, Html]
"""An anchor, a heading, and what stands below it."""


def made_at(date: datetime | None) -> str:
    """Return a time, or that of now, as a page shows it."""
    return (date or datetime.now().astimezone()).strftime("%Y-%m-%d %H:%M %Z").strip()


def check_n_worst(n_worst: int) -> None:
    """Refuse a number of tensors to show that is none."""
    if isinstance(n_worst, bool) or n_worst < 1:
        raise UsageError(f"n_worst is 1 or more, not {n_worst}")


def page_of_parts(heading: str, when: str, top: Iterable[Html], parts: Sequence[Part]) -> str:
    """Return a page: its heading, what stands at the top, links to the parts, the parts, and where it comes from."""
    nav = tag("nav", *(tag("a", text, href=f"#{anchor}") for anchor, text, _ in parts), aria_label="Contents")
    header = tag("header", tag("h1", heading), *top, nav)
    body = [tag("section", tag("h2", text, id=anchor), content) for anchor, text, content in parts]
    footer = tag("footer", f"Made by trtcal_widgets on {when}. Nothing in this file is loaded from a network.")
    return document(printable(heading), join([header, tag("main", *body), footer]))


def scrolling(content: Html, label: str) -> Html:
    """Return a region that scrolls sideways, and that the keyboard reaches."""
    return tag("div", content, class_="scroll", tabindex=0, role="region", aria_label=label)


def tiles_of(shown: Iterable[tuple[str, str]]) -> Html:
    """Return numbers in large type, each with what it is."""
    return tag("div", *(tag("div", tag("b", b), tag("span", text), class_="tile") for b, text in shown), class_="tiles")


def document(title: str, body: Html) -> str:
    """Return a page of its own with the report's style and script."""
    style = (_HERE / "report.css").read_text("utf-8") + _method_css()
    script = (_HERE / "report.js").read_text("utf-8")
    # Only this style and this script may run, and nothing may be fetched, whatever stands in a name.
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'"
    head = join(
        [
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=policy),
            tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name_="generator", content="trtcal_widgets"),
            tag("title", title),
            tag("style", Html(style)),
        ]
    )
    page = tag("html", tag("head", head), tag("body", body, tag("script", Html(script))), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _method_css() -> str:
    """Return one colour per method, the same as everywhere in the package."""
    light = "".join(f"--{kind}:{style.light};" for kind, style in METHOD_STYLES.items())
    dark = "".join(f"--{kind}:{style.dark};" for kind, style in METHOD_STYLES.items())
    return f"\n:root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
