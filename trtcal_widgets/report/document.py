"""A page that is whole in itself: its style and its script inside, nothing fetched, whatever stands in a name."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from trtcal_widgets.common.palette import METHOD_STYLES
from trtcal_widgets.report.html import Html, join, tag

_HERE = Path(__file__).parent


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
