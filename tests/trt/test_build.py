"""Building with a stand-in that makes the calls which TensorRT's documentation describes."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.graphs import node, save, value
from trtcal_widgets import sample
from trtcal_widgets.data import ArrayBatches, IterableBatches
from trtcal_widgets.errors import (
    CacheFormatError,
    CancelledError,
    DataError,
    DeviceError,
    EngineError,
    ExportError,
    ModelError,
    OutOfDeviceMemoryError,
    UsageError,
)
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.session import CalibrationSession
from trtcal_widgets.trt.building import build
from trtcal_widgets.trt.calibration.calibrator import make_calibrator
from trtcal_widgets.trt.control import BuildControl, Progress
from trtcal_widgets.trt.log import LogBook
from trtcal_widgets.trt.profiles import DynamicInput, resolve_profiles

LENET = sample.model_path()
IMAGES = np.random.default_rng(3).standard_normal((20, 1, 28, 28)).astype(np.float32)
FOUR = {"data": (4, 1, 28, 28)}
ROWS = ("data", "conv1", "pool1", "conv2", "pool2", "flatten", "ip1", "relu1", "ip2", "prob")


def lenet_cache(version="10.16.1", algorithm="EntropyCalibration2", rows=ROWS) -> CalibrationCache:
    return CalibrationCache.build(dict.fromkeys(rows, 0.25), version=version, algorithm=algorithm)


def calibrator(**options):
    options.setdefault("batch_size", 8)
    return make_calibrator(options.pop("source", IMAGES), **options)


def test_calibrates_builds_and_says_what_it_was_made_from(machine, tmp_path):
    path = tmp_path / "calibration.cache"
    seen = []
    with calibrator(cache=path) as made:
        engine = build(LENET, calibrator=made, progress=seen.append)
    (spec,) = machine.built
    assert spec["flags"] == ["INT8", "TF32"]
    assert spec["profiles"][0]["data"] == ((1, 1, 28, 28), (8, 1, 28, 28), (8, 1, 28, 28))
    assert set(map(tuple, spec["calibration_profile"]["data"])) == {(8, 1, 28, 28)}
    fed = np.concatenate([feeds["data"] for feeds in machine.calibrated_with])
    np.testing.assert_array_equal(fed, IMAGES[:16])
    assert path.read_bytes() == engine.cache.to_bytes()
    assert set(engine.cache.scales) == set(ROWS)
    facts = engine.provenance
    assert facts["model"]["sha256"] == onnx_hash()
    assert facts["tensorrt"] == "10.16.1.11"
    assert facts["device"]["name"] == "Host GPU"
    assert facts["scales"]["from"] == "calibrator"
    assert facts["scales"]["batches"] == 2
    assert facts["scales"]["left_out_samples"] == 4
    assert facts["scales"]["algorithm"] == "EntropyCalibration2"
    calibrated = [(p.done, p.total) for p in seen if p.phase == "Calibrate"]
    assert calibrated[:2] == [(0, 2), (1, 2)]
    assert {p.phase for p in seen} >= {"Parse", "Calibrate", "Build", "Building"}
    assert seen[-1] == Progress("Build", finished=True)
    json.dumps(dict(facts), allow_nan=False)


def onnx_hash() -> str:
    import hashlib

    return hashlib.sha256(LENET.read_bytes()).hexdigest()


def test_a_second_build_uses_the_cache_and_no_data(machine, tmp_path):
    path = tmp_path / "calibration.cache"
    build(LENET, calibrator=calibrator(cache=path))
    machine.calibrated_with.clear()
    engine = build(LENET, calibrator=calibrator(cache=path))
    assert not machine.calibrated_with
    assert engine.cache is None
    assert engine.provenance["scales"]["batches"] == 0


@pytest.mark.parametrize("batch", [0, 1])
def test_a_failing_source_stops_the_build_with_its_exception_and_keeps_no_cache(machine, tmp_path, batch):
    path = tmp_path / "calibration.cache"

    def source():
        for index in range(3):
            if index == batch:
                raise OSError("disk gone")
            yield IMAGES[:4]

    with pytest.raises(DataError, match="disk gone"):
        build(LENET, calibrator=calibrator(source=source, batch_size=None, cache=path), profiles=FOUR)
    assert not path.exists()


def test_an_exception_of_on_batch_comes_out_as_itself(machine, tmp_path):
    class OddError(Exception):
        pass

    def on_batch(index, batch):
        if index == 1:
            raise OddError("no")

    path = tmp_path / "calibration.cache"
    with pytest.raises(OddError):
        build(LENET, calibrator=calibrator(on_batch=on_batch, cache=path))
    assert not path.exists()


def test_a_calibrator_whose_build_failed_can_be_used_again(machine, tmp_path):
    broken = [True]

    def on_batch(index, batch):
        if broken[0]:
            raise KeyboardInterrupt

    made = calibrator(on_batch=on_batch, cache=tmp_path / "c")
    with pytest.raises(KeyboardInterrupt):
        build(LENET, calibrator=made)
    broken[0] = False
    assert build(LENET, calibrator=made).provenance["scales"]["batches"] == 2
    assert (tmp_path / "c").exists()


def test_batches_that_the_session_leaves_out_are_left_out(machine):
    seen, progress = [], []
    with CalibrationSession(LENET, IMAGES, batch_size=4) as session:
        session.update(excluded={0, 3})
        made = make_calibrator(session, on_batch=lambda index, batch: seen.append((index, batch.index)))
        session.update(excluded=set())  # what was left out when the calibrator was made counts
        engine = build(LENET, calibrator=made, progress=progress.append)
    fed = np.concatenate([feeds["data"] for feeds in machine.calibrated_with])
    np.testing.assert_array_equal(fed, IMAGES.reshape(5, 4, 1, 28, 28)[[1, 2, 4]].reshape(12, 1, 28, 28))
    assert seen == [(1, 1), (2, 2), (4, 4)]  # numbers of the session's own batches
    assert {p.total for p in progress if p.phase == "Calibrate"} == {3}
    assert [p.done for p in progress if p.phase == "Calibrate"] == [0, 1, 2, 3]
    assert made.served == engine.provenance["scales"]["batches"] == 3
    assert engine.provenance["scales"]["left_out_batches"] == [0, 3]


def test_the_explorer_may_run_while_tensorrt_calibrates(machine):
    def alone():
        with CalibrationSession(LENET, IMAGES, batch_size=4) as session:
            session.run()
            return session.to_cache().to_bytes()

    source = IterableBatches(lambda: iter(np.split(IMAGES, 5)))
    start = threading.Barrier(2)
    with CalibrationSession(LENET, source) as session, ThreadPoolExecutor(2) as pool:

        def go(job):
            start.wait()
            return job()

        made = make_calibrator(session)
        built, ran = pool.submit(go, lambda: build(LENET, calibrator=made)), pool.submit(go, session.run)
        assert built.result().provenance["scales"]["batches"] == 5
        ran.result()
        assert session.to_cache().to_bytes() == alone()
    np.testing.assert_array_equal(np.concatenate([feeds["data"] for feeds in machine.calibrated_with]), IMAGES)


def test_a_session_without_any_batch_for_tensorrt_is_refused(machine, tmp_path):
    with CalibrationSession(LENET, IMAGES, batch_size=10) as session:
        session.run()
        session.save(tmp_path / "session")
        session.update(excluded={0, 1})
        with pytest.raises(UsageError, match=r"all 2 batches of ArrayBatches.* are left out: include one"):
            make_calibrator(session)
    with pytest.raises(UsageError, match=r"loaded without its data.*source="):
        make_calibrator(CalibrationSession.load(tmp_path / "session"))
    with (
        CalibrationSession(LENET, IMAGES, batch_size=8, last="keep") as session,
        pytest.raises(UsageError, match="whole batches only"),
    ):
        make_calibrator(session)


@pytest.mark.parametrize("where", ["progress", "log"])
def test_an_exception_of_progress_or_log_stops_the_build(machine, where):
    def broken(event):
        if not (isinstance(event, Progress) and event.phase == "Parse"):
            raise ZeroDivisionError("panel")

    with pytest.raises(ZeroDivisionError, match="panel"):
        build(LENET, cache=lenet_cache(), profiles=FOUR, **{where: broken})


def test_stepping_pausing_and_cancelling_a_build_in_another_thread(machine, tmp_path):
    control = BuildControl(paused=True)
    turns = threading.Semaphore(0)
    outcome = []

    def report(progress):
        if progress.phase == "Calibrate":
            turns.release()

    def run():
        try:
            build(LENET, calibrator=calibrator(batch_size=4, cache=tmp_path / "c"), control=control, progress=report)
        except CancelledError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert turns.acquire(timeout=60)  # asks for the first batch, and waits
    assert not machine.calibrated_with
    control.step()
    assert turns.acquire(timeout=60)  # asks for the second
    assert len(machine.calibrated_with) == 1
    control.cancel()
    thread.join(60)
    assert not thread.is_alive()
    assert len(outcome) == 1
    assert len(machine.calibrated_with) == 1
    assert not (tmp_path / "c").exists()


def test_cancelling_after_the_calibration_keeps_its_cache(machine, tmp_path):
    control = BuildControl()

    def report(progress):
        if progress.phase == "Building" and progress.done == 2:
            control.cancel()

    with pytest.raises(CancelledError):
        build(LENET, calibrator=calibrator(cache=tmp_path / "c"), control=control, progress=report)
    assert len(CalibrationCache.read(tmp_path / "c").scales) == len(ROWS)


def test_cancelling_during_the_build_itself(machine):
    control = BuildControl()

    def report(progress):
        if progress.phase == "Building":
            control.cancel()

    with pytest.raises(CancelledError):
        build(LENET, cache=lenet_cache(), profiles=FOUR, control=control, progress=report)


def test_one_control_as_on_batch_and_control_waits_once_per_batch(machine):
    control = BuildControl(paused=True)
    for _ in range(2):
        control.step()
    thread = threading.Thread(
        target=build, args=(LENET,), kwargs={"calibrator": calibrator(on_batch=control), "control": control}
    )
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert len(machine.calibrated_with) == 2


def test_log_lines_come_as_they_are_logged_and_stay_with_the_engine(machine):
    seen = []
    engine = build(LENET, cache=lenet_cache(), profiles=FOUR, log=seen.append)
    assert [line.text for line in seen] == ["Building"]
    assert list(engine.log) == seen
    loud = build(LENET, cache=lenet_cache(), profiles=FOUR, verbose=True)
    assert [line.severity for line in loud.log] == ["info", "verbose"]


def test_a_cache_of_another_release_is_reported_before_it_is_used(machine, tmp_path):
    path = tmp_path / "old.cache"
    lenet_cache(version="8.6.1").write(path)
    with pytest.raises(CacheFormatError, match=r"8\.6\.1"):
        build(LENET, cache=path)
    assert not machine.built
    engine = build(LENET, cache=path, stale="use", profiles=FOUR)
    assert machine.built[0]["scales"]["conv1"] == 0.25
    assert "8.6.1" in engine.provenance["scales"]["cache_report"]


def test_a_cache_of_another_model_is_reported_before_it_is_used(machine):
    with pytest.raises(CacheFormatError, match="another model"):
        build(LENET, cache=lenet_cache(rows=("encoder.0", "encoder.1", "data")))


def test_a_minmax_cache_is_given_with_the_class_that_reads_it(machine):
    engine = build(LENET, cache=lenet_cache(algorithm="MinMaxCalibration"), profiles=FOUR)
    assert engine.provenance["scales"]["class"] == "IInt8MinMaxCalibrator"
    assert machine.built[0]["scales"]["conv1"] == 0.25


def test_a_batch_may_be_smaller_along_the_axis_of_its_samples(machine, tmp_path):
    """Of sequences whose first axis is time, and of an input that all samples share."""
    nodes = [node("Mul", ["x", "gain"], ["a"]), node("Relu", ["a"], ["y"])]
    inputs = [value("x", ["T", "N", 5]), value("gain", ["G"])]
    path = save(tmp_path / "sequences.onnx", nodes, inputs, [value("y", ["T", "N", 5])])
    feeds = {"x": np.ones((7, 6, 5), np.float32), "gain": np.ones(5, np.float32)}
    source = ArrayBatches(feeds, sample_axis={"x": 1, "gain": None})
    with CalibrationSession(path, source, batch_size=3) as session:
        session.run()
        build(path, session=session)
    (profile,) = machine.built[0]["profiles"]
    assert profile["x"] == ((7, 1, 5), (7, 3, 5), (7, 3, 5))
    assert profile["gain"] == ((5,), (5,), (5,))


def test_a_batch_may_be_smaller_where_it_is_not_known_which_inputs_have_samples(machine, tmp_path):
    nodes = [node("Mul", ["x", "gain"], ["a"]), node("Relu", ["a"], ["y"])]
    inputs = [value("x", ["N", 5]), value("gain", [1, 5])]
    path = save(tmp_path / "ready.onnx", nodes, inputs, [value("y", ["N", 5])])
    batch = {"x": np.ones((8, 5), np.float32), "gain": np.ones((1, 5), np.float32)}
    with CalibrationSession(path, IterableBatches([batch])) as session:
        session.run()
        build(path, session=session)
    assert machine.built[0]["profiles"][0]["x"] == ((1, 5), (8, 5), (8, 5))


def test_a_session_gives_its_scales(machine):
    from trtcal_widgets.session import CalibrationSession

    with CalibrationSession(LENET, IMAGES, batch_size=10) as session:
        session.run()
        build(LENET, session=session)
        expected = session.to_cache(version="10.16.1")
    assert machine.built[0]["scales"] == dict(expected.scales)
    assert machine.built[0]["profiles"][0]["data"] == ((1, 1, 28, 28), (10, 1, 28, 28), (10, 1, 28, 28))
    assert machine.built[0]["calibration_profile"] is None


def test_amax_overrides_rows_of_a_cache(machine):
    build(LENET, cache=lenet_cache(), amax={"conv2": 127.0}, profiles=FOUR)
    assert machine.built[0]["scales"]["conv2"] == 1.0
    assert machine.built[0]["scales"]["conv1"] == 0.25


def test_amax_alone_sets_the_ranges_of_tensors(machine):
    engine = build(LENET, amax={"data": 127.0, "conv1": 254.0}, profiles=FOUR)
    assert machine.built[0]["scales"] == {"data": 1.0, "conv1": 2.0}
    assert "prob" in engine.provenance["scales"]["tensors_without"]


def test_a_plan_sets_precisions_of_the_layers_that_its_nodes_became(machine):
    engine = build(
        LENET, cache=lenet_cache(), plan=PrecisionPlan(("conv1", "ip2"), "fp16", {"conv2": 127.0}), profiles=FOUR
    )
    (spec,) = machine.built
    assert spec["precisions"] == {"conv1": ["HALF", {0: "HALF"}], "ip2": ["HALF", {0: "HALF"}]}
    assert spec["flags"] == ["FP16", "INT8", "OBEY_PRECISION_CONSTRAINTS", "TF32"]
    assert spec["scales"]["conv2"] == 1.0
    assert engine.provenance["plan"]["layers"] == {"conv1": ["conv1"], "ip2": ["ip2"]}


def test_a_plan_in_fp32_that_only_prefers(machine):
    build(LENET, cache=lenet_cache(), plan=PrecisionPlan(("relu1",), "fp32"), constraints="prefer", profiles=FOUR)
    (spec,) = machine.built
    assert spec["precisions"] == {"relu1": ["FLOAT", {0: "FLOAT"}]}
    assert spec["flags"] == ["INT8", "PREFER_PRECISION_CONSTRAINTS", "TF32"]


def test_settings_reach_the_builder(machine):
    machine.dla_cores = 2
    options = {"fp16": True, "tf32": False, "dla": 1, "workspace": 1 << 20, "before_fusion": True}
    build(LENET, cache=lenet_cache(), profiles=FOUR, **options)
    (spec,) = machine.built
    assert spec["flags"] == ["FP16", "GPU_FALLBACK", "INT8"]
    assert spec["dla"] == [1, "DLA"]
    assert spec["pools"] == {"WORKSPACE": 1 << 20}
    assert spec["quantization_flags"] == ["CALIBRATE_BEFORE_FUSION"]


def test_dla_is_told_what_it_lacks(machine):
    machine.dla_cores = 1
    engine = build(LENET, cache=lenet_cache(rows=ROWS[:-2]), dla=0, profiles=FOUR)
    assert "2 tensors have no scale" in engine.provenance["scales"]["dla"]
    with pytest.raises(UsageError, match="EntropyCalibration2 only"):
        build(LENET, cache=lenet_cache(algorithm="MinMaxCalibration"), dla=0)


def test_without_int8_nothing_is_calibrated(machine):
    build(LENET, int8=False, fp16=True, profiles={"data": ((1, 1, 28, 28), (4, 1, 28, 28), (8, 1, 28, 28))})
    assert machine.built[0]["flags"] == ["FP16", "TF32"]


@pytest.mark.parametrize(("release", "taken_as"), [("8.6.1", "int32"), ("10.16.1.11", "int64")])
def test_token_ids_arrive_as_the_network_takes_them(plug, tmp_path, release, taken_as):
    """TensorRT's parser makes int64 inputs int32 up to 9: other bytes would be read as other tokens."""
    machine = plug(release)
    table = np.random.default_rng(1).standard_normal((30, 4)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["rows"], "look up"), helper.make_node("Relu", ["rows"], ["y"])],
        "tokens",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3, 4])],
        [helper.make_tensor("table", TensorProto.FLOAT, table.shape, table)],
    )
    path = tmp_path / "tokens.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    ids = np.random.default_rng(2).integers(0, 30, (8, 3))
    engine = build(path, calibrator=calibrator(source=ids, batch_size=4))
    fed = [feeds["ids"] for feeds in machine.calibrated_with]
    assert {x.dtype.name for x in fed} == {taken_as}
    np.testing.assert_array_equal(np.concatenate(fed), ids)
    assert engine.cache.amax["y"] == pytest.approx(float(table[ids].max()), rel=1e-6)


@pytest.fixture
def qdq_model(tmp_path):
    """x -> QuantizeLinear -> DequantizeLinear -> Relu -> y."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "dequantize"),
        helper.make_node("Relu", ["d"], ["y"], "relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "qdq",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor("s", TensorProto.FLOAT, [], [0.1]), helper.make_tensor("z", TensorProto.INT8, [], [0])],
    )
    path = tmp_path / "model.qdq.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize(("release", "strong"), [("8.6.1", False), ("10.16.1.11", True), ("11.4.0.106", True)])
def test_a_model_with_qdq_is_strongly_typed_where_that_exists(plug, qdq_model, release, strong):
    machine = plug(release)
    engine = build(qdq_model)
    (spec,) = machine.built
    assert spec["strongly_typed"] is strong
    assert spec["flags"] == (["TF32"] if strong else ["INT8", "TF32"])
    assert engine.provenance["settings"]["strongly_typed"] is strong


def test_a_model_with_qdq_takes_no_other_scales(machine, qdq_model):
    with pytest.raises(UsageError, match="has its own scales"):
        build(qdq_model, cache=lenet_cache())


@pytest.mark.parametrize(
    ("options", "subject"),
    [
        ({"cache": lenet_cache()}, "A calibration cache"),
        ({"calibrator": object()}, "A calibrator"),
        ({"session": SimpleNamespace(to_cache=None)}, "A session's scales"),
        ({"amax": {"data": 1.0}}, "Dynamic ranges"),
        ({"int8": False, "plan": PrecisionPlan(("conv1",))}, "A plan of layer precisions"),
        ({}, "lenet.onnx"),
    ],
)
def test_on_11_everything_that_went_names_the_way_to_qdq(plug, options, subject):
    plug("11.4.0.106")
    with pytest.raises(UsageError, match=r"trtcal convert .*--to qdq") as caught:
        build(LENET, **options)
    assert str(caught.value).startswith(subject)


def test_on_11_make_calibrator_names_the_way_to_qdq(plug):
    plug("11.4.0.106")
    with pytest.raises(UsageError, match=r"trtcal convert .*--to qdq"):
        make_calibrator(IMAGES, batch_size=4)


def test_on_8_6_there_is_no_monitor_and_the_build_works_all_the_same(plug):
    machine = plug("8.6.1")
    seen = []
    build(LENET, calibrator=calibrator(), progress=seen.append)
    assert {p.phase for p in seen} == {"Parse", "Calibrate", "Build"}
    assert machine.built


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "make_calibrator"),
        ({"int8": False, "cache": lenet_cache()}, "leave one out"),
        ({"cache": lenet_cache(), "session": SimpleNamespace(to_cache=None)}, "cache and session"),
        ({"cache": lenet_cache(), "strongly_typed": True}, "cache="),
        ({"cache": lenet_cache(), "dla": 0}, "none (DLA is part of Jetson"),
        ({"cache": lenet_cache(), "dla": -1}, "DLA core"),
        ({"cache": lenet_cache(), "workspace": "4GiB"}, "4 << 30"),
        ({"cache": lenet_cache(), "constraints": "maybe"}, "'prefer'"),
        ({"cache": lenet_cache(), "amax": {"conv9": 1.0}}, "did you mean 'conv"),
        ({"cache": lenet_cache(), "amax": {"conv1": -1.0}}, "amax must be"),
        ({"cache": lenet_cache(), "plan": PrecisionPlan(("conv9",))}, "did you mean 'conv"),
        ({"cache": lenet_cache(), "plan": SimpleNamespace(keep=("conv1",), precision="int4")}, "'fp16' or 'fp32'"),
        ({"cache": lenet_cache(), "amax": [1.0]}, "not a list"),
        ({"cache": lenet_cache(), "amax": {"conv1": "1"}}, "amax of 'conv1' must be a number"),
        ({"cache": lenet_cache(), "plan": {"keep": ["conv1"]}}, "PrecisionPlan"),
        ({"session": "saved.npz"}, "CalibrationSession.load(path)"),
        ({"cache": lenet_cache(), "debug": "conv1"}, "debug=['conv1']"),
        ({"cache": lenet_cache(), "debug": ["nothing"]}, "none of the tensors"),
        ({"calibrator": object()}, "derive your class from"),
        ({"cache": lenet_cache(), "profiles": {"image": (1, 1, 28, 28)}}, "no dynamic input"),
        ({"cache": lenet_cache(), "profiles": {"data": (1, 3, 28, 28)}}, "does not fit"),
        ({"cache": lenet_cache(), "profiles": {"data": ((8, 1, 28, 28), (4, 1, 28, 28), (8, 1, 28, 28))}}, "decrease"),
        ({"cache": lenet_cache(), "profiles": {"data": 4}}, "cannot be read"),
        ({"cache": lenet_cache()}, "is dynamic. Pass profiles={'data': ((1, 1, 28, 28), (8,"),
    ],
)
def test_what_cannot_be_meant_says_what_to_do(machine, options, says):
    with pytest.raises(UsageError) as caught:
        build(LENET, **options)
    assert says in str(caught.value)
    assert not machine.built


def test_amax_with_a_calibrator_says_how_to_do_both(machine):
    with pytest.raises(UsageError, match=r"cache=engine\.cache"):
        build(LENET, calibrator=calibrator(), amax={"conv1": 1.0})


@pytest.mark.parametrize(("code", "says"), [(35, "driver is too old"), (100, "no NVIDIA GPU"), (7, "nvidia-smi")])
def test_no_driver_or_an_old_one(machine, code, says):
    machine.cuda_error = code
    with pytest.raises(DeviceError, match=says):
        build(LENET, cache=lenet_cache())


def test_what_the_parser_does_not_take_is_named(machine):
    machine.parser_error = "No importer registered for op: Frobnicate"
    with pytest.raises(ModelError, match=r"Frobnicate node 'odd': No importer"):
        build(LENET, cache=lenet_cache())


def test_on_8_6_the_parsers_error_has_the_nodes_number(plug):
    machine = plug("8.6.1")
    machine.parser_error = "No importer"
    with pytest.raises(ModelError, match="node 3: No importer"):
        build(LENET, cache=lenet_cache(version="8.6.1"))


def test_a_refused_build_quotes_tensorrt(machine):
    machine.build_error = "Error Code 10: Could not find any implementation for node conv1."
    with pytest.raises(EngineError, match="Could not find any implementation"):
        build(LENET, cache=lenet_cache(), profiles=FOUR)


def test_a_full_device_says_how_large_a_batch_would_fit(machine, driver):
    machine.build_error = "Error Code 2: OutOfMemory (no further information)"
    driver.capacity = 10 * (1 << 20)
    with pytest.raises(OutOfDeviceMemoryError, match="this batch has 8 samples") as caught:
        build(LENET, calibrator=calibrator())
    # LeNet's activations of one sample, by hand: 784 + 11520 + 2880 + 3200 + 800 + 800 + 500 + 500 + 10 + 10 floats
    assert f"up to {10 * (1 << 20) // (21004 * 4)} should fit" in str(caught.value)


def test_a_missing_model_is_named_before_anything_starts(machine):
    with pytest.raises(ModelError, match="nowhere"):
        build("nowhere.onnx", cache=lenet_cache())


def test_device_memory_is_given_back(machine, driver):
    with calibrator() as made:
        build(LENET, calibrator=made)
    assert not driver.blocks


def test_dimensions_that_are_all_called_by_a_placeholder_are_told_apart(machine, tmp_path):
    path = tmp_path / "paddle.onnx"
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["?", 3, "?", "?"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["?", 3, "?", "?"])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    before = path.read_bytes()
    images = np.random.default_rng(0).standard_normal((4, 3, 8, 12)).astype(np.float32)
    heard = []
    with make_calibrator(images, batch_size=2) as made:
        engine = build(path, calibrator=made, log=heard.append)
    assert machine.calibrated_with[0]["x"].shape == (2, 3, 8, 12)
    assert engine.provenance["dimensions"] == {"x": ["x_0", "", "x_2", "x_3"]}
    assert any("dimension 2 is x_2" in line.text and line.severity == "info" for line in heard)
    assert path.read_bytes() == before
    assert "dimensions" not in build(LENET, int8=False, profiles=FOUR).provenance


def test_external_data_are_found_when_dimensions_are_told_apart(machine, tmp_path):
    path = tmp_path / "paddle.onnx"
    weight = numpy_helper.from_array(np.ones((4096, 8), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["?", "?", 4096])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["?", "?", 8])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    engine = build(path, int8=False, profiles={"x": (2, 5, 4096)})
    assert engine.provenance["dimensions"] == {"x": ["x_0", "x_1", ""]}


# ---- as 8.6.0 was seen to do it -----------------------------------------------------------------------------------


@pytest.fixture
def old_machine(plug):
    return plug("8.6.1")


def test_8_6_takes_any_four_digits_and_no_six(old_machine, tmp_path):
    path = tmp_path / "c.cache"
    lenet_cache("8.5.3").write(path)
    with calibrator(cache=path) as made:
        assert build(LENET, calibrator=made).cache is None
    assert made.served == 0
    lenet_cache("10.3.0").write(path)
    with pytest.raises(CacheFormatError, match="would ignore this file without a word"):
        calibrator(cache=path)


def test_what_8_6_would_ignore_is_calibrated_anew_and_written(old_machine, tmp_path):
    path = tmp_path / "c.cache"
    lenet_cache("10.3.0").write(path)
    with calibrator(cache=path, stale="recalibrate") as made:
        engine = build(LENET, calibrator=made)
    assert made.served == 2
    assert CalibrationCache.read(path).header == "TRT-8601-EntropyCalibration2"
    assert path.read_bytes() == engine.cache.to_bytes()


@pytest.mark.parametrize(
    "data",
    [lenet_cache("10.3.0").to_bytes(), lenet_cache("8.6.0", "MinMaxCalibration").to_bytes(), b"no cache at all\n"],
    ids=["six digits", "other algorithm", "no cache"],
)
def test_a_users_cache_that_8_6_would_ignore_is_kept_from_it_so_that_the_new_one_is_written(old_machine, data):
    """TensorRT itself would calibrate, and never call write_calibration_cache."""
    users = users_calibrator(old_machine, answer=data)
    engine = build(LENET, calibrator=users, profiles=FOUR)
    assert users.written.startswith(b"TRT-8601-EntropyCalibration2")
    assert users.written == engine.cache.to_bytes()


def test_a_users_cache_that_8_6_takes_is_handed_over(old_machine):
    users = users_calibrator(old_machine, answer=lenet_cache("7.0.0").to_bytes())
    build(LENET, calibrator=users, profiles=FOUR)
    assert users.asked == 0
    assert users.written is None


def users_calibrator(machine, *, answer):
    """A calibrator that a user wrote: two batches of 4 images, and a cache that it has from somewhere."""
    import tensorrt

    class Mine(tensorrt.IInt8EntropyCalibrator2):
        def __init__(self):
            tensorrt.IInt8EntropyCalibrator2.__init__(self)
            self.asked, self.written = 0, None
            self.buffer = machine.memory.alloc(IMAGES[:4].nbytes)

        def get_batch_size(self):
            return 4

        def get_batch(self, names):
            if self.asked == 2:
                return None
            machine.memory.upload(self.buffer, IMAGES[4 * self.asked : 4 * self.asked + 4])
            self.asked += 1
            return [self.buffer.ptr]

        def read_calibration_cache(self):
            return answer

        def write_calibration_cache(self, cache):
            self.written = bytes(cache)

    return Mine()


def test_the_legacy_calibrator_builds_an_engine_and_its_cache_is_taken_with_its_numbers(old_machine, tmp_path):
    path, histograms = tmp_path / "c.cache", tmp_path / "h.bin"
    options = {"algorithm": "legacy", "quantile": 0.999, "regression_cutoff": 0.5}
    with calibrator(cache=path, histogram_cache=histograms, **options) as made:
        engine = build(LENET, calibrator=made)
    assert engine.cache.legacy == (0.999, 0.5)
    assert engine.cache.header.startswith("0 3fe0000000000000 ")
    assert histograms.read_bytes() == b"histograms of all tensors"
    assert path.read_bytes() == engine.cache.to_bytes()
    # The numbers are the file's where none are given: TensorRT takes it with no others.
    assert build(LENET, cache=path, profiles=FOUR).provenance["scales"]["batches"] == 0
    with pytest.raises(CacheFormatError, match=r"quantile 0.999 and regression cutoff 0.5 and is to be read with"):
        calibrator(cache=path, algorithm="legacy", quantile=0.5)
    with calibrator(cache=path, algorithm="legacy", quantile=0.5, stale="recalibrate") as made:
        assert build(LENET, calibrator=made).cache.legacy == (0.5, 1.0)
    assert CalibrationCache.read(path).legacy == (0.5, 1.0)


@pytest.mark.parametrize("level", [None, 0, 5])
def test_how_long_tensorrt_looks_for_fast_kernels(machine, level):
    build(LENET, int8=False, profiles=FOUR, level=level)
    assert machine.built[-1]["level"] == level


@pytest.mark.parametrize("level", [-1, 6, 1.5, True, "fast"])
def test_a_level_that_is_none(machine, level):
    with pytest.raises(UsageError, match="from 0"):
        build(LENET, int8=False, profiles=FOUR, level=level)


def test_a_users_own_calibrator_is_taken(machine):
    import tensorrt as trt

    memory = machine.memory
    buffer = memory.alloc(IMAGES[:4].nbytes)

    class Own(trt.IInt8EntropyCalibrator2):
        left = 2

        def get_batch_size(self):
            return 4

        def get_batch(self, names):
            if not self.left:
                return None
            self.left -= 1
            memory.upload(buffer, IMAGES[:4])
            return [buffer.ptr]

        def read_calibration_cache(self):
            return None

        def write_calibration_cache(self, cache):
            self.kept = bytes(cache)

    own = Own()
    engine = build(LENET, calibrator=own, profiles=FOUR)
    assert own.kept == engine.cache.to_bytes()
    assert engine.provenance["scales"]["batches"] == 2


def test_lines_that_come_while_the_last_errors_are_looked_for_do_no_harm():
    """TensorRT logs from threads of its own, and two builds hear each other's lines."""
    book = LogBook()

    class Text(str):
        __slots__ = ()

        def strip(self, _characters=None):
            book.add("error", "another one")
            return str(self)

    book.add("error", Text("first"))
    book.add("error", Text("second"))
    assert book.last_errors() == "first | second"


def test_an_engine_is_not_lost_because_its_times_cannot_be_kept(machine, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise ExportError("no space left")

    monkeypatch.setattr("trtcal_widgets.trt.builder.write_atomic", refuse)
    engine = build(LENET, int8=False, profiles=FOUR, timing_cache=tmp_path / "times")
    assert engine.data
    (line,) = [line.text for line in engine.log if "times of kernels" in line.text]
    assert "no space left" in line
    assert line in engine.provenance["warnings"]


@pytest.mark.parametrize("given", [((1,), (1, 2), (1, 2)), ((1, 2), (1, 2), (1, 2, 3))])
def test_values_of_a_shape_input_are_as_many_in_all_three(given):
    inputs = [DynamicInput("sizes", (2,), is_shape_tensor=True)]
    with pytest.raises(UsageError, match="as many values each"):
        resolve_profiles({"sizes": given}, inputs, {}, calibrates=False)
