"""The stand-in for TensorRT offers what the table lists for a release, and nothing else."""

from __future__ import annotations

import pytest

from tests.support import trt_api as api
from tests.support.trt_fake import FEATURES
from trtcal_widgets.trt.versions import features, load_tensorrt

CLASSES = sorted({use.owner for use in api.USES} - {"tensorrt"})


@pytest.mark.parametrize("release", FEATURES)
def test_has_the_features_of_the_release(plug, release):
    plug(release)
    assert features(load_tensorrt()) == FEATURES[release]


@pytest.mark.parametrize("owner", CLASSES)
@pytest.mark.parametrize("release", FEATURES)
def test_offers_the_listed_names_only(plug, release, owner):
    plug(release)
    trt = load_tensorrt()
    has = features(trt)
    listed = {u.name for u in api.USES if u.owner == owner and (not u.feature or getattr(has, u.feature))}
    cls = getattr(trt, owner, None)
    if cls is None:
        assert not listed
        return
    offered = {name for name in dir(cls) if not name.startswith("_")}
    if owner in {u.owner for u in api.USES if u.kind == "value"}:  # an enumeration is also an int
        offered = set(cls.__members__) - {"OUTPUT", "INT32", "INT64", "BOOL", "FP8"}
    callbacks = {u.name for u in api.USES if u.owner == owner and u.kind in ("callback", "inherited")}
    assert offered == {name for name in listed if not name.startswith("__")} - callbacks
