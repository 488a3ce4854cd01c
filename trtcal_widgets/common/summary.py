"""What an object shows of itself in a notebook: a title, facts and a table, as HTML and as Markdown; all text."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from trtcal_widgets.common.words import printable, shorten_middle

_LONGEST = 120
_SAFE = re.compile(r"[^0-9A-Za-z /\u0080-\U0010ffff]")


@dataclass(frozen=True)
class Summary:
    """A title, lines below it, and a table whose first column holds names; ``more`` says what it leaves out."""

    title: str
    lines: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    more: str = ""

    def html(self) -> str:
        """Return it as HTML: nothing in it is markup, and nothing is taken for a formula."""
        parts = [f"<p><strong>{_text(self.title)}</strong>", *(f"<br>{_text(line)}" for line in self.lines), "</p>"]
        if self.rows:
            head = "".join(f'<th style="text-align: left">{_text(column)}</th>' for column in self.columns)
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>")
            parts += (f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.rows)
            parts.append("</tbody></table>")
        if self.more:
            parts.append(f"<p>{_text(self.more)}</p>")
        return f'<div class="tex2jax_ignore mathjax_ignore">{"".join(parts)}</div>'

    def markdown(self) -> str:
        """Return it as Markdown; every character that could be markup is written by its number."""
        lines = [f"**{_plain(self.title)}**", *(f"\n{_plain(line)}" for line in self.lines)]
        if self.rows:
            lines += ["", _row(self.columns), _row(("---",) * len(self.columns), as_it_is=True), *map(_row, self.rows)]
        return "\n".join([*lines, "", _plain(self.more)] if self.more else lines)


class Shown:
    """Base of what shows a summary of itself on the last line of a notebook's cell."""

    def _summary(self) -> Summary:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return self._summary().html()

    def _repr_markdown_(self) -> str:
        return self._summary().markdown()


MOST_ROWS = 10
"""That a summary of a report has."""


def left_out(n: int, where: str) -> str:
    """Say that a table of :data:`MOST_ROWS` of ``n`` rows is not all; empty where it is."""
    return f"{n - MOST_ROWS:,} more in {where}." if n > MOST_ROWS else ""


def _text(text: str) -> str:
    return html.escape(printable(text))


def _cell(text: str) -> str:
    # MathJax leaves code alone, wherever its settings come from.
    shown = shorten_middle(printable(text), _LONGEST)
    return f'<td style="text-align: left" title="{_text(text)}"><code>{html.escape(shown)}</code></td>'


def _row(cells: tuple[str, ...], *, as_it_is: bool = False) -> str:
    return f"| {' | '.join(cells if as_it_is else map(_plain, cells))} |"


def _plain(text: str) -> str:
    shown = shorten_middle(printable(text), _LONGEST) if len(text) > 4 * _LONGEST else printable(text)
    return _SAFE.sub(lambda match: f"&#{ord(match[0])};", shown)
