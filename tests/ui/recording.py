"""A page filmed by Chromium itself (its screencast), as an animated GIF: it plays on GitHub and needs no codec."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING

from PIL import Image, ImageChops

from trtcal_widgets.common.palette import METHOD_STYLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WIDTH = 960
COLOURS = 160
SHORTEST, LONGEST = 0.08, 1.6
"""Seconds that a frame is shown."""

# What a screencast does not have: the pointer, and a ring while its button is held.
_POINTER = """() => {
  const dot = document.createElement('div');
  dot.innerHTML = `<svg width="30" height="30" viewBox="0 0 30 30" style="overflow: visible">
    <circle cx="5" cy="5" r="0" fill="#f59e0b66"/>
    <path d="M5 5 L5 23 L10 18.5 L13.5 26 L16.5 24.5 L13 17.5 L19.5 17 Z" fill="#111" stroke="#fff"/></svg>`;
  dot.style.cssText = 'position: fixed; z-index: 2147483647; pointer-events: none; left: -5px; top: -5px';
  document.body.appendChild(dot);
  const ring = dot.querySelector('circle');
  const on = (kind, act) => addEventListener(kind, act, true);
  on('mousemove', (e) => { dot.style.transform = `translate(${e.clientX}px, ${e.clientY}px)`; });
  on('mousedown', () => ring.setAttribute('r', 13));
  on('mouseup', () => ring.setAttribute('r', 0));
}"""


class Recording:
    """What a page showed, frame by frame, with the time of each."""

    def __init__(self, page) -> None:
        self.page = page
        self.frames: list[tuple[float, bytes]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Film what is done meanwhile."""
        self.page.evaluate(_POINTER)
        session = self.page.context.new_cdp_session(self.page)

        def keep(event: dict) -> None:
            self.frames.append((event["metadata"]["timestamp"], base64.b64decode(event["data"])))
            session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

        session.on("Page.screencastFrame", keep)
        session.send("Page.startScreencast", {"format": "png", "everyNthFrame": 1})
        yield
        session.send("Page.stopScreencast")
        session.detach()

    def write_gif(self, path: Path, box: tuple[float, float, float, float]) -> int:
        """Write the part of the page in ``box`` (left, top, right, bottom; CSS pixels); return the number of frames."""
        pictures = self._pictures(tuple(round(v) for v in box))
        palette = _palette([picture for _, picture in pictures])
        frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for _, picture in pictures]
        times = [time for time, _ in pictures]
        gaps = [*(b - a for a, b in pairwise(times)), LONGEST]
        durations = [round(1000 * min(max(gap, SHORTEST), LONGEST)) for gap in gaps]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False)
        return len(frames)

    def _pictures(self, box: tuple[int, ...]) -> list[tuple[float, Image.Image]]:
        """Return the frames in which something moved, cut and made small, no more often than a GIF can show."""
        found: list[tuple[float, Image.Image]] = []
        height = round((box[3] - box[1]) * WIDTH / (box[2] - box[0]))
        for time, data in self.frames:
            whole = Image.open(BytesIO(data)).convert("RGB")
            picture = whole.crop(box).resize((WIDTH, height), Image.Resampling.LANCZOS)
            if found and time - found[-1][0] < SHORTEST:
                found[-1] = (found[-1][0], picture)
            elif not found or ImageChops.difference(picture, found[-1][1]).getbbox():
                found.append((time, picture))
        return found


def _palette(pictures: list[Image.Image]) -> Image.Image:
    """Return one palette for all, so that a colour never flickers: that of a few frames below each other.

    The colours of the methods are in thin lines, so each is given an area that counts.
    """
    some = pictures[:: max(1, len(pictures) // 6)]
    colours = [style.light for style in METHOD_STYLES.values()]
    swatch = some[0].height // 8
    sheet = Image.new("RGB", (some[0].width, some[0].height * len(some) + swatch * len(colours)))
    for i, picture in enumerate(some):
        sheet.paste(picture, (0, i * picture.height))
    for i, colour in enumerate(colours):
        sheet.paste(colour, (0, sheet.height - swatch * (i + 1), sheet.width, sheet.height - swatch * i))
    return sheet.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
