"""Pictures for the inside of a page: what matplotlib draws, in the page's colours, with nothing that a page forbids."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from trtcal_widgets.drawing.svg import ROLES, ink, to_svg


def parsed(draw, **options):
    return ET.fromstring(to_svg(draw, 200, 100, label="a <picture>", **options))  # noqa: S314 - our own


def test_every_role_has_an_ink_of_its_own():
    assert len({ink(role) for role in ROLES}) == len(ROLES)
    with pytest.raises(ValueError, match="not in tuple"):
        ink("mauve")


def test_what_is_drawn_stands_where_it_was_drawn():
    def draw(figure):
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, 200)
        axes.set_ylim(0, 100)
        axes.plot([20, 20, 180], [10, 90, 90], color=ink("severe"), linewidth=3)
        axes.text(50, 25, "x < y & z", color=ink("faint"), ha="center")

    picture = parsed(draw)
    assert picture.attrib == {"viewBox": "0 0 200 100", "class": "plot", "role": "img", "aria-label": "a <picture>"}
    path, text = picture
    assert path.attrib == {"d": "M20 90V10H180", "fill": "none", "stroke": "var(--severe)", "stroke-width": "3"}
    assert (text.text, text.get("x"), text.get("y")) == ("x < y & z", "50", "75")
    assert (text.get("text-anchor"), text.get("fill")) == ("middle", "var(--faint)")


def test_nothing_that_a_strict_page_forbids_or_two_pictures_share():
    def draw(figure):
        axes = figure.subplots()
        axes.scatter(np.arange(50), np.arange(50), color=ink("link"))
        axes.plot([1, 2], [1, 2], "o")
        axes.fill_between([0, 1], [1, 2])

    picture = parsed(draw)
    assert {element.tag for element in picture.iter()} == {"svg", "path", "text"}
    assert not {"id", "style", "clip-path", "href"} & {key for element in picture.iter() for key in element.attrib}
    assert len([e for e in picture if e.get("fill") == "var(--link)"]) == 50


def test_a_mark_and_what_belongs_to_it_share_their_hover_text():
    def draw(figure):
        axes = figure.add_axes((0, 0, 1, 1))
        for size in (20, 60):
            dots = axes.scatter([0, 1], [0, 1], s=size, color=ink("bars"))
            dots.set_urls(["0", "1"])

    groups = parsed(draw, hover=["</title><script>", "second"]).findall("g")
    assert [group.find("title").text for group in groups] == ["</title><script>", "second"]
    assert [len(group.findall("path")) for group in groups] == [2, 2]


def test_the_users_settings_do_not_show_through():
    import matplotlib as mpl

    def draw(figure):
        figure.subplots().plot([1, 2], [3, 4], color=ink("mine"))

    plain = to_svg(draw, 200, 100, label="")
    with mpl.rc_context({"lines.linewidth": 9, "axes.facecolor": "#ff0000", "svg.fonttype": "path"}):
        assert to_svg(draw, 200, 100, label="") == plain
    assert plain == to_svg(draw, 200, 100, label="")
