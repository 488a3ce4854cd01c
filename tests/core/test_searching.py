"""A search that leaves candidates early picks what one picks that sums all of them, wherever it starts."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.test_entropy import KINDS
from tests.core.test_tensorrt86 import datasets, histograms  # noqa: F401 - fixtures
from trtcal_widgets.core.histogram import N_BINS
from trtcal_widgets.core.searching import entropy_pick, entropy_picks
from trtcal_widgets.core.thresholds import threshold, threshold_curve


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_candidates_early_changes_no_pick(kind):
    rng = np.random.default_rng(5)
    hint = N_BINS
    for _ in range(12):
        histogram = KINDS[kind](rng)
        curve = threshold_curve(histogram)
        assert threshold(histogram) == curve.amax
        for first in (hint, 128, N_BINS, curve.pick, int(rng.integers(128, N_BINS + 1))):
            assert entropy_pick(histogram.counts, first) == curve.pick
        hint = curve.pick


def test_many_in_one_call_are_the_single_ones():
    rng = np.random.default_rng(6)
    made = [make(rng) for make in KINDS.values() for _ in range(3)]
    counts = np.stack([histogram.counts for histogram in made])
    before = counts.copy()
    hints = rng.integers(128, N_BINS + 1, len(made))
    assert entropy_picks(counts, hints).tolist() == [threshold_curve(histogram).pick for histogram in made]
    np.testing.assert_array_equal(counts, before)


def test_every_row_that_tensorrt_wrote(histograms):  # noqa: F811 - the fixture
    hint, wrong = N_BINS, []
    for name, histogram in histograms.items():
        expected = threshold_curve(histogram).pick
        found = entropy_pick(histogram.counts, hint)
        wrong += [name] if found != expected else []
        hint = found
    assert len(histograms) == 1040
    assert wrong == []
