"""The pieces of a build that need no TensorRT: profiles, capacity, inputs, buttons."""

from __future__ import annotations

import threading
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtcal_widgets import sample
from trtcal_widgets.data.base import ONLY_INPUT, Batch
from trtcal_widgets.errors import CancelledError, DataError, UsageError
from trtcal_widgets.gpu.capacity import advice, bytes_per_sample
from trtcal_widgets.gpu.memory import MemInfo
from trtcal_widgets.model.graph import ModelGraph, TensorInfo, TensorKind
from trtcal_widgets.model.load import load_graph
from trtcal_widgets.trt.control import BuildControl
from trtcal_widgets.trt.inputs import arrange, inputs_of
from trtcal_widgets.trt.profiles import DynamicInput, Fed, Range, resolve_profiles

IMAGES = DynamicInput("images", (-1, 3, -1, -1), is_shape_tensor=False)
SIZE = DynamicInput("size", (2,), is_shape_tensor=True)


def test_the_calibration_batch_is_the_profile_where_none_is_given():
    fed = {"images": Fed((8, 3, 64, 64)), "fixed": Fed((1, 2))}
    (profile,), calibration = resolve_profiles(None, [IMAGES], fed, calibrates=True)
    assert profile.ranges == {"images": Range((1, 3, 64, 64), (8, 3, 64, 64), (8, 3, 64, 64))}
    assert calibration.ranges == {"images": Range(*[(8, 3, 64, 64)] * 3)}


@pytest.mark.parametrize(
    ("samples", "least"), [(1, (50, 1, 16)), (-2, (50, 1, 16)), (2, (50, 8, 16)), (None, (50, 8, 16))]
)
def test_a_batch_may_be_smaller_along_the_axis_of_its_samples_alone(samples, least):
    sequences = DynamicInput("sequences", (-1, -1, 16), is_shape_tensor=False)
    fed = {"sequences": Fed((50, 8, 16), samples)}
    (profile,), _ = resolve_profiles(None, [sequences], fed, calibrates=False)
    assert profile.ranges == {"sequences": Range(least, (50, 8, 16), (50, 8, 16))}


def test_a_session_that_calibrated_elsewhere_gives_shapes_but_nothing_to_calibrate():
    (profile,), calibration = resolve_profiles(None, [IMAGES], {"images": Fed((8, 3, 64, 64))}, calibrates=False)
    assert profile.ranges["images"].opt == (8, 3, 64, 64)
    assert calibration is None


def test_profiles_of_the_user_and_shape_tensors():
    given = [
        {"images": (4, 3, 32, 32), "size": (32, 32)},
        {"images": ((1, 3, 8, 8), (2, 3, 16, 16), (4, 3, 99, 99)), "size": ((8, 8), (16, 16), (99, 99))},
    ]
    fed = {"images": Fed((2, 3, 16, 16)), "size": Fed((16, 16))}
    profiles, calibration = resolve_profiles(given, [IMAGES, SIZE], fed, calibrates=True)
    assert [p.ranges["images"].max for p in profiles] == [(4, 3, 32, 32), (4, 3, 99, 99)]
    assert calibration.ranges["size"] == Range((16, 16), (16, 16), (16, 16))
    assert profiles[1].to_json()["size"] == [[8, 8], [16, 16], [99, 99]]


def test_a_fixed_network_needs_no_profiles():
    assert resolve_profiles(None, [], {"x": (1,)}, calibrates=True) == ((), None)
    with pytest.raises(UsageError, match="leave them out"):
        resolve_profiles({"x": (1,)}, [], {}, calibrates=False)


@pytest.mark.parametrize(
    "given_",
    [
        {},
        {"images": "1x3x8x8"},
        {"images": ((1, 3, 8, 8), (1, 3, 8, 8))},
        {"images": (1, 3, 8)},
        {"images": (-1, 3, 8, 8)},
        {"images": (True, 3, 8, 8)},
        {"images": (1, 4, 8, 8)},
        {"images": ((2, 3, 8, 8), (1, 3, 8, 8), (2, 3, 8, 8))},
        {"imagse": (1, 3, 8, 8)},
        [7],
        None,
    ],
)
def test_profiles_that_cannot_be_meant(given_):
    with pytest.raises(UsageError, match="images"):
        resolve_profiles(given_, [IMAGES], {}, calibrates=False)


def graph_of(*shapes) -> ModelGraph:
    tensors = {
        f"t{i}": TensorInfo(f"t{i}", TensorKind.ACTIVATION, "float32", shape, 0, ()) for i, shape in enumerate(shapes)
    }
    return ModelGraph("g", "", 17, MappingProxyType(tensors), ())


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5))
def test_bytes_per_sample_add_up(sizes):
    graph = graph_of(*[("N", *rest) for rest in sizes])
    assert bytes_per_sample(graph) == 4 * sum(a * b for a, b in sizes)


def test_sizes_that_are_not_known_give_plain_advice():
    assert bytes_per_sample(graph_of(("N", "H"))) is None
    assert bytes_per_sample(graph_of(None)) is None
    assert advice(graph_of(("N", "H")), 8, MemInfo(1, 2)) == "Halve the batch size until it fits"
    assert advice(graph_of(("N", 4)), 8, None) == "Halve the batch size until it fits"
    assert "up to 10 should fit" in advice(graph_of(("N", 4)), 8, MemInfo(16 * 10, 1000))


def batch_of(**feeds) -> Batch:
    return Batch(3, feeds, 0, 1)


def test_arrays_come_in_tensorrts_order_with_the_networks_types():
    inputs = inputs_of({"a": (np.float32, (-1, 2)), "b": ("int32", (None, 1))})
    a, b = np.ones((4, 2)), np.ones((4, 1), np.int64)
    found = arrange(batch_of(a=a, b=b), ["b", "a"], inputs)
    assert [x.dtype.name for x in found] == ["int32", "float32"]
    assert all(x.flags.c_contiguous for x in found)


def test_token_ids_that_int32_cannot_hold_are_refused():
    inputs = inputs_of({"ids": ("int32", (-1,))})
    with pytest.raises(DataError, match=r"batch 3.*do not fit"):
        arrange(batch_of(ids=np.array([1 << 40])), ["ids"], inputs)


def test_an_array_without_a_name_is_the_only_input():
    x = np.zeros((2, 3), np.float32)
    assert arrange(Batch(0, {ONLY_INPUT: x}, 0, 2), ["x"], None)[0] is x
    with pytest.raises(DataError, match="asks for input 'x'"):
        arrange(Batch(0, {ONLY_INPUT: x}, 0, 2), ["x", "y"], None)


def test_a_model_graph_says_what_it_takes():
    graph = load_graph(sample.model_path())
    assert inputs_of(graph) is graph
    assert inputs_of(None) is None
    with pytest.raises(UsageError, match="ModelGraph"):
        inputs_of(["data"])


def test_buttons_from_another_thread():
    control = BuildControl()
    control.wait()
    assert (control.paused, control.waiting, control.cancelled) == (False, False, False)
    control.pause()
    passed = threading.Semaphore(0)

    def worker():
        for _ in range(3):
            control.wait()
            passed.release()

    thread = threading.Thread(target=worker)
    thread.start()
    control.step()
    assert passed.acquire(timeout=30)
    control.step()
    assert passed.acquire(timeout=30)
    assert not passed.acquire(blocking=False)
    control.resume()
    assert passed.acquire(timeout=30)
    thread.join(30)
    assert not control.paused


def test_cancelling_wakes_what_waits_and_lasts():
    control = BuildControl(paused=True)
    raised = []

    def worker():
        try:
            control.wait()
        except CancelledError as error:
            raised.append(error)

    thread = threading.Thread(target=worker)
    thread.start()
    control.cancel()
    thread.join(30)
    assert len(raised) == 1
    with pytest.raises(CancelledError):
        control(0, batch_of())
    with pytest.raises(CancelledError):
        control.wait()


def test_pausing_forgets_steps_that_were_not_used():
    control = BuildControl(paused=True)
    control.step()
    assert control._steps == 1
    control.pause()
    assert control._steps == 0


def test_on_batch_of_a_control_is_called_before_it_waits():
    seen = []
    control = BuildControl(lambda index, batch: seen.append(index))
    control(4, batch_of())
    assert seen == [4]
