"""A runner whose activations are made up, for sessions without a model file."""

from __future__ import annotations

from trtcal_widgets.core.counting import amax_of
from trtcal_widgets.core.histogram import Histogram


class MadeUp:
    """What a runner is, around the ``infer`` of a class below it."""

    name = "made up"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def constants(self):
        return iter(())

    def histograms(self, feeds, bases):
        for name, array in self.infer(feeds):
            yield name, Histogram.of(array, bases.get(name) or None)

    def ranges(self, feeds):
        return ((name, amax_of(array)) for name, array in self.infer(feeds))
