"""Sessions over made-up activations of a known kind: every batch draws anew, so the truth is known."""

from __future__ import annotations

from itertools import pairwise
from types import MappingProxyType

import numpy as np

from tests.support.made_up import MadeUp
from trtcal_widgets.data import ArrayBatches
from trtcal_widgets.model.graph import ModelGraph, NodeInfo, TensorInfo, TensorKind
from trtcal_widgets.session import CalibrationSession


def graph_of(names, groups=(), sha256="0" * 64):
    last, kinds = len(names) - 1, (TensorKind.INPUT, TensorKind.ACTIVATION)
    tensors = {
        name: TensorInfo(name, kinds[i > 0], "float32", ("N", 1), i - 1, (i,) if i < last else ())
        for i, name in enumerate(names)
    }
    nodes = tuple(NodeInfo(i, f"n{i}", "Relu", "", (a,), (b,)) for i, (a, b) in enumerate(pairwise(names)))
    return ModelGraph("made-up.onnx", sha256, 17, MappingProxyType(tensors), nodes, groups)


class DrawnRunner(MadeUp):
    """Makes tensor ``name`` of batch k with ``makers[name](rng of the batch and name, the batch's feed)``."""

    def __init__(self, makers, *, groups=(), seed=0, sha256="0" * 64):
        self.makers = makers
        self.graph = graph_of(list(makers), groups, sha256)
        self.seed = seed

    def infer(self, feeds):
        (feed,) = feeds.values()
        for k, (name, make) in enumerate(self.makers.items()):
            rng = np.random.default_rng([self.seed, int(feed.ravel()[0]), k])
            yield name, np.asarray(make(rng, feed), np.float32)


def drawn_session(makers, batches=16, per_batch=2, *, run=True, **options):
    """A session whose batch k feeds the number k: the tensors are drawn from it."""
    feeds = np.repeat(np.arange(batches, dtype=np.float32), per_batch)[:, None]
    runner = DrawnRunner(makers, groups=options.pop("groups", ()), seed=options.pop("data_seed", 0))
    session = CalibrationSession(runner, ArrayBatches({next(iter(makers)): feeds}), batch_size=per_batch, **options)
    if run:
        session.run()
    return session
