"""The table of what is used of TensorRT, against the real bindings: run by test_bindings.py."""

from __future__ import annotations

import inspect
import os
import re
from dataclasses import asdict, replace

import pytest
import tensorrt as trt

from tests.support import trt_api as api
from tests.support.shared import shared_path
from tests.support.trt_fake import FEATURES
from trtcal_widgets.trt.calibration.guard import Guard
from trtcal_widgets.trt.callbacks import make_listener, make_profiler
from trtcal_widgets.trt.control import make_monitor
from trtcal_widgets.trt.log import _logger
from trtcal_widgets.trt.versions import features, load_tensorrt, tensorrt_version

HAS = features(trt)


def owner_of(use):
    return trt if use.owner == "tensorrt" else getattr(trt, use.owner, None)


def expected(use) -> bool:
    return not use.feature or getattr(HAS, use.feature)


@pytest.mark.parametrize("use", api.USES, ids=lambda use: f"{use.owner}.{use.name}")
def test_is_there_where_it_is_expected_and_only_there(use):
    owner = owner_of(use)
    assert (owner is not None and hasattr(owner, use.name)) == expected(use)


def signatures(function) -> list[list[str]]:
    """Parameter names of a bound function's overloads, out of pybind11's docstring; ``=`` marks an optional one."""
    found = re.findall(rf"^(?:\d+\. )?{function.__name__}\((.*)\)(?: -> .*)?$", function.__doc__, re.MULTILINE)
    lists = []
    for text in found:
        if text.startswith("*args"):
            continue
        parts = re.findall(r"(?:^|, )(\w+): ((?:[^,\[\]()<>]|\[[^\]]*\]|<[^>]*>)+)", text)
        lists.append([name + ("=" if "=" in kind else "") for name, kind in parts if name != "self"])
    return lists


METHODS = [use for use in api.USES if use.kind in ("method", "callback", "inherited")]


@pytest.mark.parametrize("use", METHODS, ids=lambda use: f"{use.owner}.{use.name}")
def test_takes_what_we_pass(use):
    if not expected(use):
        pytest.skip(f"TensorRT {trt.__version__} has no {use.owner}.{use.name}")
    lists = signatures(getattr(owner_of(use), use.name))
    assert lists, "pybind11 documents no signature"
    fits = [
        names
        for names in lists
        if tuple(name.rstrip("=") for name in names[: len(use.parameters)]) == use.parameters
        and all(name.endswith("=") for name in names[len(use.parameters) :])
    ]
    assert fits, f"has {lists}, we pass {use.parameters}"


OURS = {"ILogger": lambda: type(_logger(trt)), "IProfiler": lambda: type(make_profiler(trt, {}))}
if HAS.progress_monitor:
    OURS["IProgressMonitor"] = lambda: type(make_monitor(trt, print, print)[0])
if HAS.debug_tensors:
    OURS["IDebugListener"] = lambda: type(make_listener(trt, print)[0])
if HAS.calibrators:
    OURS |= dict.fromkeys(
        [use.owner for use in api.USES if use.owner.endswith(("Calibrator", "Calibrator2"))], lambda: Guard
    )


@pytest.mark.parametrize("use", [u for u in api.USES if u.kind == "callback"], ids=lambda u: f"{u.owner}.{u.name}")
def test_our_callback_takes_what_tensorrt_passes(use):
    if not expected(use):
        pytest.skip(f"TensorRT {trt.__version__} has no {use.owner}.{use.name}")
    own = inspect.signature(getattr(OURS[use.owner](), use.name))
    own.bind(None, *use.parameters)


def test_features_are_those_that_were_found_in_each_release():
    """The table of shared/tensorrt-api-presence.txt was made by others; ours is made by looking."""
    lines = shared_path("tensorrt-api-presence.txt").read_text().splitlines()
    releases = lines[0].split()[1:]
    short = ".".join(map(str, tensorrt_version(trt)))
    column = next((i for i, name in enumerate(releases) if short == name or short.startswith(name + ".")), None)
    if column is None:
        pytest.skip(f"TensorRT {short} is not in the table")
    presence = {line.split()[0]: line.split()[1:][column] == "yes" for line in lines[1:]}
    assert {
        "calibrators": presence["IInt8EntropyCalibrator2"] and presence["BuilderFlag.INT8"],
        "strongly_typed": presence["NetworkDefinitionCreationFlag.STRONGLY_TYPED"],
        "progress_monitor": presence["IProgressMonitor"],
        "debug_tensors": presence["INetworkDefinition.mark_debug"] and presence["IDebugListener"],
        "unfused_debug_tensors": presence["INetworkDefinition.mark_unfused_tensors_as_debug_tensors"],
    }.items() <= asdict(HAS).items()


def test_is_the_release_that_was_asked_for():
    assert load_tensorrt() is trt
    assert os.environ["TRTCAL_BINDINGS"].startswith(".".join(trt.__version__.split(".")[:3]))
    assert HAS.version == trt.__version__


def test_the_stand_in_has_the_features_of_this_release():
    assert FEATURES[os.environ["TRTCAL_BINDINGS"]] == replace(HAS, version=os.environ["TRTCAL_BINDINGS"])
