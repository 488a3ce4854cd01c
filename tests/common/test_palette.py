from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from trtcal_widgets.common.palette import METHOD_STYLES as STYLES
from trtcal_widgets.common.palette import MINE, style_of
from trtcal_widgets.core.thresholds import METHODS

# Viénot, Brettel and Mollon 1999, "Digital video colourmaps for checking the legibility of displays by dichromats":
# linear RGB as a protanope and a deuteranope see it
SEEN = {
    "normal": np.eye(3),
    "protan": np.array([[0.1124, 0.8876, 0.0], [0.1124, 0.8876, 0.0], [0.0040, -0.0040, 1.0]]),
    "deutan": np.array([[0.2927, 0.7073, 0.0], [0.2927, 0.7073, 0.0], [-0.0223, 0.0223, 1.0]]),
}


def linear(colour):
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    high, low = sorted((float(linear(c) @ [0.2126, 0.7152, 0.0722]) + 0.05 for c in (a, b)), reverse=True)
    return high / low


def lab(rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    f = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 0.008856))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_every_method_has_a_style():
    assert set(STYLES) == {*METHODS, MINE}


@pytest.mark.parametrize("name", sorted(STYLES))
def test_contrast_of_graphics(name):
    assert contrast(STYLES[name].light, "#ffffff") >= 3
    assert contrast(STYLES[name].dark, "#111111") >= 3


@pytest.mark.parametrize(("a", "b"), list(combinations(sorted(STYLES), 2)))
def test_any_two_are_told_apart(a, b):
    one, other = STYLES[a], STYLES[b]
    assert one.marker != other.marker
    # the user's own line is solid as entropy's is, and thicker
    assert one.dash != other.dash or MINE in {a, b}
    for theme in ("light", "dark"):
        for seen in SEEN.values():
            apart = np.linalg.norm(
                lab(np.clip(seen @ linear(one.color(theme)), 0, 1))
                - lab(np.clip(seen @ linear(other.color(theme)), 0, 1))
            )
            # 10 is far beyond a just noticeable difference (2.3); the dash and the marker do the rest
            assert apart > 10, (a, b, theme, apart)


def test_style_of_whatever_names_a_method():
    assert style_of("percentile:99.9") is STYLES["percentile"]
    assert style_of("p99.9") is STYLES["percentile"]
    assert style_of("legacy:0.99") is STYLES["legacy"]
    assert style_of("mine") is STYLES[MINE]


def test_matplotlib_knows_the_dashes_and_markers():
    from matplotlib.lines import Line2D

    for style in STYLES.values():
        Line2D([0], [0], linestyle=style.mpl_dash, marker=style.mpl_marker, color=style.light)
