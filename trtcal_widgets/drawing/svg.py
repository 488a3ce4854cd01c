"""A matplotlib figure as SVG for the inside of a page: text stays text, colours are the page's CSS variables.

matplotlib writes a document of its own: styles in attributes, which a strict page forbids, shared marks with ids that
two pictures would both have, a group around everything. What is drawn is kept, the rest is taken out.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from trtcal_widgets.drawing.canvas import sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.figure import Figure

ROLES = (
    "text", "faint", "grid", "page", "bars", "clip", "severe", "link",
    "entropy", "minmax", "percentile", "mse", "legacy", "mine",
)  # fmt: skip
"""What may be drawn with: names of CSS variables that the page sets, for each of its themes."""

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_INKS = {f"#00{k:02x}ff": f"var(--{role})" for k, role in enumerate(ROLES)}
_KEPT = {
    "fill": "#000000", "fill-opacity": "1", "opacity": "1", "stroke": "none", "stroke-dasharray": "none",
    "stroke-opacity": "1", "stroke-width": "1", "text-anchor": "start",
}  # fmt: skip
"""Properties that become attributes, and what they are where nothing is written."""


def ink(role: str) -> str:
    """Return the colour that stands for a role of :data:`ROLES` while matplotlib draws."""
    return f"#00{ROLES.index(role):02x}ff"


def to_svg(
    draw: Callable[[Figure], None],
    width: int,
    height: int,
    *,
    label: str,
    hover: Sequence[str] = (),
    kind: str = "plot",
) -> str:
    """Return what ``draw`` draws on a figure of this size as an ``svg`` element.

    ``draw``: draws with the colours of :func:`ink`. Nothing is clipped to the axes. ``width`` and ``height``: in units
    of the picture, in which fonts are 11 high; the page scales it. ``label``: what the picture is, for who cannot see
    it. ``hover``: texts that are shown beside a mark: of an artist with the URL ``"k"`` the one with index k.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    settings = {"svg.fonttype": "none", "font.size": 11, "xtick.labelsize": 11, "ytick.labelsize": 11}
    target = io.BytesIO()
    with sheet(width, height, ("none", ink("text"), ink("grid")), settings, dpi=72) as figure:
        canvas = FigureCanvasSVG(figure)
        draw(figure)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        canvas.print_svg(target, metadata=nothing)  # type: ignore[no-untyped-call]
    drawn = ET.fromstring(target.getvalue())  # noqa: S314 - matplotlib's own, of the line above
    attributes = {"viewBox": f"0 0 {width} {height}", "class": kind, "role": "img", "aria-label": label}
    picture = ET.Element("svg", attributes)
    groups: dict[str, ET.Element] = {}
    for url, element in _shapes(drawn):
        if url and url not in groups:
            groups[url] = ET.SubElement(picture, "g")
            ET.SubElement(groups[url], "title").text = hover[int(url)]
        (groups[url] if url else picture).append(element)
    return ET.tostring(picture, encoding="unicode")


def _shapes(drawn: ET.Element) -> Iterator[tuple[str, ET.Element]]:
    """Yield what is seen, in order, each with the URL of its artist."""
    marks = {f"#{path.get('id')}": path for path in drawn.iterfind(f".//{_SVG}defs/{_SVG}path")}
    hidden = {element for defs in drawn.iter(f"{_SVG}defs") for element in defs.iter()}
    urls = {element: a.get(_LINK, "") for a in drawn.iter(f"{_SVG}a") for element in a.iter()}
    for element in drawn.iter():
        if element in hidden or element.tag not in {f"{_SVG}path", f"{_SVG}use", f"{_SVG}text"}:
            continue
        made = ET.Element("text" if element.tag == f"{_SVG}text" else "path")
        if element.tag == f"{_SVG}text":
            made.text = element.text
            made.attrib.update({key: _short(element.get(key, "")) for key in ("x", "y") if element.get(key)})
            turned = element.get("transform", "")
            if "rotate(-0" not in turned and turned:
                made.set("transform", _short(turned))
        else:
            mark = marks[element.get(_LINK, "")] if element.tag == f"{_SVG}use" else element
            made.set("d", _path(mark.get("d", ""), float(element.get("x", 0)), float(element.get("y", 0))))
        made.attrib.update(_looks(element))
        if made.get("fill") != "none" or "stroke" in made.attrib:
            yield urls.get(element, ""), made


def _looks(element: ET.Element) -> dict[str, str]:
    """Return an element's style as attributes, colours as the page's."""
    style = dict(part.split(": ", 1) for part in element.get("style", "").split("; ") if ": " in part)
    found = {key: value for key, value in style.items() if key in _KEPT and value != _KEPT[key]}
    found |= {key: _INKS.get(found[key], found[key]) for key in ("fill", "stroke") if key in found}
    return {key: _short(value) if "var" not in value else value for key, value in found.items()}


def _path(d: str, dx: float, dy: float) -> str:
    """Return path data moved by (dx, dy), with one decimal and the shortest commands for straight lines."""
    parts: list[str] = []
    last = (None, None)
    for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", d):
        values = [float(n) for n in numbers.split()]
        at = [_short(f"{v + (dy if k % 2 else dx):.1f}") for k, v in enumerate(values)]
        here = tuple(at[-2:]) if at else last
        if command == "L" and here == last:
            continue
        if command == "L" and here[0] == last[0]:
            parts.append(f"V{here[1]}")
        elif command == "L" and here[1] == last[1]:
            parts.append(f"H{here[0]}")
        else:
            parts.append(command + " ".join(at))
        last = here  # type: ignore[assignment] # a pair of texts
    return "".join(parts)


def _short(text: str) -> str:
    """Round the decimals of a text to one or, below one, two; whole numbers lose theirs."""
    return re.sub(r"\d+\.\d+", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), text)
