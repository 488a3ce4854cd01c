"""Batch sources: where calibration samples come from, and how whole batches are cut from them."""

from __future__ import annotations

from trtcal_widgets.data.array_files import ArrayFolder
from trtcal_widgets.data.arrays import ArrayBatches
from trtcal_widgets.data.base import ONLY_INPUT, Batch, Source
from trtcal_widgets.data.batch_files import BatchFiles
from trtcal_widgets.data.files import ImageReport
from trtcal_widgets.data.idx import IdxImages
from trtcal_widgets.data.images import ImageFolder
from trtcal_widgets.data.iterables import IterableBatches
from trtcal_widgets.data.plan import BatchPlan, NoSuchBatchError
from trtcal_widgets.data.sources import as_source, source_for_model

__all__ = [
    "ONLY_INPUT",
    "ArrayBatches",
    "ArrayFolder",
    "Batch",
    "BatchFiles",
    "BatchPlan",
    "IdxImages",
    "ImageFolder",
    "ImageReport",
    "IterableBatches",
    "NoSuchBatchError",
    "Source",
    "as_source",
    "source_for_model",
]
