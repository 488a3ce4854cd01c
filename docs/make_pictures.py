"""Draw the pictures of ``algorithm.md`` and fill in its numbers: ``python docs/make_pictures.py``.

Everything comes from the bundled LeNet and its 500 images, or from the toy sizes that a picture names.
"""
# ruff: noqa: INP001 - a script, no package

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from trtcal_widgets import sample
from trtcal_widgets.common.palette import METHOD_STYLES
from trtcal_widgets.core import NoiseModel, fake_quantize, threshold_curve
from trtcal_widgets.session import CalibrationSession

mpl.use("svg")  # before pyplot is loaded
import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from trtcal_widgets.core import Histogram

HERE = Path(__file__).parent
PAGE = HERE / "algorithm.md"
TENSOR = "ip1"
METHODS = ("entropy", "minmax", "percentile", "mse")
TEXT, FAINT, FILL, CLIPPED = "#24292f", "#656d76", "#b9c4d0", "#c22828"

plt.rcParams.update(
    {
        "svg.hashsalt": "trtcal_widgets",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": FAINT,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "text.color": TEXT,
        "legend.frameon": False,
    }
)


def main() -> None:
    """Draw everything and rewrite the numbers of the page."""
    one_pass = calibrated("tensorrt")
    two_pass = calibrated("two-pass")
    histogram = one_pass.histogram(TENSOR)
    draw_clipping_and_rounding(histogram)
    draw_entropy(histogram)
    draw_shared_scales()
    text = PAGE.read_text(encoding="utf-8")
    text = filled(text, "thresholds", threshold_table(one_pass, two_pass))
    text = filled(text, "concat", concat_table())
    PAGE.write_text(text, encoding="utf-8")


def calibrated(range_mode: str) -> CalibrationSession:
    """Return a session that has seen the 10 batches of 50."""
    session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, range_mode=range_mode)
    session.run()
    return session


def save(figure: Any, name: str) -> None:
    """Write an SVG without a date, so that drawing it again changes nothing."""
    path = HERE / name
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    plt.close(figure)
    path.write_text("\n".join(line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()) + "\n", "utf-8")


# --- clipping and rounding ------------------------------------------------------------------------------------------


def draw_clipping_and_rounding(histogram: Histogram) -> None:
    """Draw a quantiser with few levels, what it clips of a real tensor, and the noise of every threshold."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10.5, 3.3), layout="constrained")
    draw_staircase(left)
    draw_histogram(middle, histogram)
    draw_noise(right, histogram)
    save(figure, "clipping-and-rounding.svg")


def draw_staircase(axes: Axes) -> None:
    """Draw a quantiser with 3 steps to each side instead of 127."""
    amax, steps = 1.0, 3
    x = np.linspace(-1.6, 1.6, 1601)
    y = np.clip(np.rint(x * steps / amax), -steps, steps) * amax / steps
    axes.plot(x, x, color=FAINT, lw=0.8, ls=":")
    axes.plot(x, y, color=METHOD_STYLES["entropy"].light, lw=1.6)
    axes.plot(x, y - x, color=CLIPPED, lw=1.0)
    axes.axhline(0, color=FAINT, lw=0.5)
    for side in (-1, 1):
        axes.axvspan(side * amax, side * 1.6, color=CLIPPED, alpha=0.1, lw=0)
    axes.text(-1.05, 0.95, "stored value", color=METHOD_STYLES["entropy"].light, ha="center")
    axes.text(0.35, -0.48, "error", color=CLIPPED, ha="center")
    axes.set_xticks([-amax, 0, amax], ["-amax", "0", "amax"])
    axes.set_yticks([])
    axes.set_title("Rounding inside ±amax, clipping outside\n(3 steps to a side; INT8 has 127)")


def draw_histogram(axes: Axes, histogram: Histogram) -> None:
    """Draw a tensor's counts with the thresholds of all methods."""
    width = histogram.range / 128
    counts = histogram.counts.reshape(128, -1).sum(axis=1)
    last = int(np.ceil(histogram.amax / width))
    axes.stairs(counts[:last], np.arange(last + 1) * width, fill=True, color=FILL)
    for method in METHODS:
        style = METHOD_STYLES[method]
        amax = threshold_curve(histogram, method).amax
        axes.axvline(amax, color=style.light, ls=style.mpl_dash, lw=1.4, label=f"{method} {amax:.3g}")
    axes.set_yscale("log")
    axes.set_xlabel("|x|")
    axes.set_ylabel("values")
    axes.legend(loc="lower left", fontsize=8)
    axes.set_title(f"The bundled LeNet's tensor {TENSOR}\nand where each method cuts it")


def draw_noise(axes: Axes, histogram: Histogram) -> None:
    """Draw clipping noise, rounding noise and their sum over all thresholds."""
    amax = np.linspace(0.12, 1.15, 160) * histogram.amax
    noise = NoiseModel(histogram).noise(amax)
    axes.plot(amax, noise[:, 1], color=CLIPPED, lw=1.2, ls="--", label="clipping")
    axes.plot(amax, noise[:, 2], color=METHOD_STYLES["minmax"].light, lw=1.2, ls=":", label="rounding")
    axes.plot(amax, noise[:, 1] + noise[:, 2], color=TEXT, lw=1.6, label="both")
    curve = threshold_curve(histogram, "mse")
    axes.plot([curve.amax], [curve.objective.min()], "v", color=METHOD_STYLES["mse"].light, ms=8, label="least: mse")
    axes.set_yscale("log")
    axes.set_ylim(noise[:, 2].min() / 2, noise[:, 1].max() * 2)
    axes.set_xlabel("amax")
    axes.set_ylabel("mean squared error")
    axes.legend(fontsize=8)
    axes.set_title("A lower threshold trades\nrounding for clipping")


# --- entropy --------------------------------------------------------------------------------------------------------


def draw_entropy(histogram: Histogram) -> None:
    """Draw P and Q of one candidate in a toy size, and a real tensor's divergence over all candidates."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.4), layout="constrained", width_ratios=(3, 2))
    draw_toy_candidate(left)
    draw_divergence(right, histogram)
    save(figure, "entropy.svg")


def draw_toy_candidate(axes: Axes) -> None:
    """Draw 24 bins cut at 16, compared with 4 levels."""
    h = np.array([30, 26, 19, 0, 22, 15, 12, 14, 9, 10, 0, 6, 5, 0, 3, 3, 2, 2, 0, 1, 1, 0, 0, 1], float)
    i, levels = 16, 4
    p, q = h[:i].copy(), np.zeros(i)
    p[-1] += h[i:].sum()
    level = levels * np.arange(i) // i
    for k in range(levels):
        members = (level == k) & (h[:i] > 0)
        q[members] = h[:i][level == k].sum() / members.sum()
    q *= p.sum() / q.sum()
    bins = np.arange(h.size)
    axes.bar(bins[i:], h[i:], color=CLIPPED, alpha=0.35, width=0.9, label="clipped: added to P's last bin")
    axes.bar(bins[:i] - 0.21, p, color=FILL, width=0.42, label="P: the values after clipping")
    axes.bar(bins[:i] + 0.21, q, color=METHOD_STYLES["entropy"].light, width=0.42, label="Q: what the levels can tell")
    for edge in range(0, i + 1, i // levels):
        axes.axvline(edge - 0.5, color=FAINT, lw=0.6, ls=":")
    axes.text(i - 0.4, 27, f"candidate i = {i}", ha="left")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("bins of |x|, between dotted lines one level")
    axes.legend(fontsize=8, loc="center right")
    axes.set_title("One candidate (24 bins and 4 levels here; 2048 and 128 in TensorRT)")


def draw_divergence(axes: Axes, histogram: Histogram) -> None:
    """Draw KL(P || Q) of all candidates."""
    curve = threshold_curve(histogram, "entropy")
    finite = np.flatnonzero(np.isfinite(curve.objective))[::4]
    color = METHOD_STYLES["entropy"].light
    axes.plot(curve.candidates[finite], curve.objective[finite], color=color, lw=1.2)
    axes.plot([curve.amax], [curve.objective[curve.pick - 128]], "o", color=color)
    axes.annotate(
        f"i* = {curve.pick}\namax {curve.amax:.4g}",
        (curve.amax, curve.objective[curve.pick - 128]),
        (10, 45),
        textcoords="offset points",
        arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.6},
    )
    axes.set_yscale("log")
    axes.set_xlabel("amax of the candidate")
    axes.set_ylabel("KL(P ‖ Q)")
    axes.set_title(f"All candidates of {TENSOR}")


# --- shared scales --------------------------------------------------------------------------------------------------


def draw_shared_scales() -> None:
    """Draw which tensors have one scale, and what that does to a Concat."""
    figure, axes = plt.subplots(figsize=(9.5, 2.5), layout="constrained")
    axes.set(xlim=(0, 19), ylim=(0, 5))
    axes.axis("off")
    blue, orange = METHOD_STYLES["entropy"].light, METHOD_STYLES["minmax"].light
    chain = [("conv2", blue), ("MaxPool", None), ("pool2", blue), ("Flatten", None), ("flatten", CLIPPED)]
    for k, (text, color) in enumerate(chain):
        draw_box(axes, 0.1 + 1.95 * k, 3.4, 1.55, text, color)
        if k:
            draw_arrow(axes, (1.95 * k - 0.3, 3.4), (0.1 + 1.95 * k, 3.4))
    axes.text(0.1, 1.0, "A pool's output has its input's scale.\nWhat comes behind has one of its own.")
    for y, text in ((4.3, "boxes 0…640"), (2.5, "scores 0…1")):
        draw_box(axes, 10.6, y, 2.5, text, orange)
        draw_arrow(axes, (13.1, y), (13.9, 3.4))
    draw_box(axes, 13.9, 3.4, 1.8, "Concat", None)
    draw_arrow(axes, (15.7, 3.4), (16.4, 3.4))
    draw_box(axes, 16.4, 3.4, 1.8, "output", orange)
    axes.text(10.6, 0.3, "One scale for all of a Concat: a step is\n640 / 127 ≈ 5.04, so every score rounds to 0.")
    save(figure, "shared-scales.svg")


def draw_box(axes: Axes, x: float, y: float, width: float, text: str, color: str | None) -> None:
    """Draw a tensor in the colour of its scale, or an operator, which has no colour; ``x, y`` its left middle."""
    face, edge, ink = (color, color, "white") if color else ("white", FAINT, TEXT)
    axes.add_patch(mpl.patches.Rectangle((x, y - 0.45), width, 0.9, facecolor=face, edgecolor=edge))
    axes.text(x + width / 2, y, text, ha="center", va="center", color=ink)


def draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw which way the values go."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": FAINT, "shrinkA": 1, "shrinkB": 1})


# --- numbers --------------------------------------------------------------------------------------------------------


def threshold_table(one_pass: CalibrationSession, two_pass: CalibrationSession) -> str:
    """Return the thresholds of LeNet's tensors and their SQNR, one line per group, as a Markdown table."""
    columns = ["tensor", "same scale", "entropy", "entropy, two passes", "minmax", "p99.99", "mse"]
    lines = ["| " + " | ".join(columns) + " |", "| --- | --- |" + " ---: |" * 5]
    for name in one_pass.calibrated:
        leader, *others = one_pass.group(name)
        if leader != name:
            continue
        picks = [(one_pass, "entropy"), (two_pass, "entropy"), *((one_pass, method) for method in METHODS[1:])]
        cells = []
        for session, method in picks:
            cost = session.cost(name, session.amax(name, method))
            cells.append(f"{cost.amax:.4g} ({cost.sqnr_db:.1f} dB)")
        lines.append(f"| {name} | {', '.join(others)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def concat_table() -> str:
    """Return what one scale for boxes and scores leaves of the scores, as Markdown."""
    rng = np.random.default_rng(0)
    boxes, scores = rng.uniform(0, 640, 4000), rng.uniform(0, 1, 1000)
    scale = 640 / 127
    lines = ["| values | scale | distinct values left | SQNR |", "| --- | ---: | ---: | ---: |"]
    for label, x, step in (
        ("boxes, in the Concat", boxes, scale),
        ("scores, in the Concat", scores, scale),
        ("scores, on their own", scores, 1 / 127),
    ):
        kept = fake_quantize(x, step)
        noise = float(np.mean((kept - x) ** 2))
        decibels = 10 * np.log10(float(np.mean(x**2)) / noise)
        lines.append(f"| {label} | {step:.4g} | {np.unique(kept).size} | {decibels:.1f} dB |")
    return "\n".join(lines)


def filled(page: str, name: str, text: str) -> str:
    """Replace what stands between a block's two marks."""
    block = re.compile(rf"(<!-- {name}: written by make_pictures\.py -->\n).*?(<!-- end -->)", re.DOTALL)
    replaced, n = block.subn(lambda m: f"{m[1]}\n{text}\n\n{m[2]}", page)
    if n != 1:
        raise ValueError(f"{PAGE.name} has {n} blocks named {name!r}; there must be one")
    return replaced


if __name__ == "__main__":
    main()
