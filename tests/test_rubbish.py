"""What cannot be meant, given to every public name: the package's own error, never a bare one of Python."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import trtcal_widgets
from trtcal_widgets import (
    AccuracyDebugger,
    ArrayBatches,
    BuildPanel,
    CacheViewer,
    CalibrationCache,
    CalibrationExplorer,
    CalibrationSession,
    DataComparison,
    DataDoctor,
    Evaluation,
    Histogram,
    IdxImages,
    ImageFolder,
    IterableBatches,
    OnnxRuntimeRunner,
    TrtcalError,
    calibrate_array,
    read_scale_file,
    sample,
)
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.report import write_report

MODEL = sample.model_path()
IDX = MODEL.with_name("calibration-images-idx3-ubyte.gz")
ONES = np.ones((4, 1, 28, 28), np.float32)

RUBBISH = {
    "None": None,
    "an int": 5,
    "a negative int": -1,
    "a float": 1.5,
    "nan": math.nan,
    "inf": math.inf,
    "a bool": True,
    "a complex": 1j,
    "empty text": "",
    "text": "nonsense",
    "a NUL": "a\0b",
    "bytes": b"abc",
    "a folder": Path("folder"),
    "an empty file": Path("empty.onnx"),
    "a text file": Path("text.txt"),
    "a missing file": Path("missing.cache"),
    "an empty list": [],
    "a mixed list": [1, "a", None],
    "an empty dict": {},
    "a dict of None": {"data": None},
    "a class": int,
    "an object": object(),
    "an array of text": np.array(["x"]),
    "an empty array": np.zeros((0, 3)),
    "an array of an object": np.array(None),
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("empty.onnx").touch()
    Path("text.txt").write_text("hello\nworld\n")
    Path("pictures").mkdir()
    Path("pictures", "a.png").write_bytes(b"not read before a batch is")


@pytest.fixture(scope="module")
def recorded():
    with CalibrationSession(MODEL, sample.calibration_images(), batch_size=50) as session:
        session.step()
        yield session


def session_with(**options):
    options = {"batch_size": 2, **options}
    return CalibrationSession(MODEL, ONES, **options)


def evaluation_with(**options):
    options = {"batch_size": 2, **options}
    return Evaluation(ONES, **options)


def folder_with(**options):
    needs = {"short_side": {"size": 8, "resize": "crop"}, "pad_value": {"size": 8}, "interpolation": {"size": 8}}
    return ImageFolder("pictures", **{**needs.get(next(iter(options)), {}), **options})


ALONE = {
    "ArrayBatches": ArrayBatches,
    "ArrayBatches(name)": lambda x: ArrayBatches(ONES, name=x),
    "BuildPanel": BuildPanel,
    "CacheViewer": CacheViewer,
    "DataDoctor": DataDoctor,
    "CalibrationCache": CalibrationCache,
    "CalibrationCache.read": CalibrationCache.read,
    "CalibrationCache.from_bytes": CalibrationCache.from_bytes,
    "CalibrationCache.build": CalibrationCache.build,
    "CalibrationExplorer": CalibrationExplorer,
    "CalibrationSession(model)": lambda x: CalibrationSession(x, ONES, batch_size=2),
    "CalibrationSession(source)": lambda x: CalibrationSession(MODEL, x, batch_size=2),
    "CalibrationSession.load": CalibrationSession.load,
    "Evaluation": lambda x: Evaluation(x, batch_size=2),
    "Histogram.of": Histogram.of,
    "Histogram.of(base)": lambda x: Histogram.of(np.ones(3), x),
    "IdxImages": IdxImages,
    "IdxImages(labels)": lambda x: IdxImages(IDX, x),
    "ImageFolder": ImageFolder,
    "IterableBatches": lambda x: IterableBatches(x).load(0, 1),
    "OnnxRuntimeRunner": OnnxRuntimeRunner,
    "build_qdq(model)": lambda x: build_qdq(x, {"data": 1.0}),
    "build_qdq(scales)": lambda x: build_qdq(MODEL, x),
    "build_qdq(plan)": lambda x: build_qdq(MODEL, {"data": 0.1}, plan=x),
    "build_qdq(placement)": lambda x: build_qdq(MODEL, {"data": 0.1}, placement=x),
    "calibrate_array": calibrate_array,
    "calibrate_array(method)": lambda x: calibrate_array(ONES, x),
    "calibrate_array(range_mode)": lambda x: calibrate_array(ONES, range_mode=x),
    "read_scale_file": read_scale_file,
}
OPTIONS = {
    session_with: ("batch_size", "last", "max_batches", "range_mode", "method", "threads", "providers"),
    evaluation_with: ("batch_size", "labels", "evaluate", "output", "last", "max_batches"),
    folder_with: (
        *("size", "resize", "short_side", "interpolation", "pad_value", "color", "layout", "scale", "mean", "std"),
        *("dtype", "pattern", "on_error", "limit", "shuffle_seed", "name"),
    ),
    lambda **options: IdxImages(IDX, **options): ("layout", "offset", "limit", "scale", "name"),
}
WITH_SESSION = {
    "DataComparison(a)": lambda s, x: DataComparison(x, s),
    "DataComparison(b)": DataComparison,
    "AccuracyDebugger(session)": lambda s, x: AccuracyDebugger(x, evaluation_with()),
    "AccuracyDebugger(evaluation)": AccuracyDebugger,
    "CacheViewer(other)": lambda s, x: CacheViewer(s.to_cache(), other=x),
    "CacheViewer(model)": lambda s, x: CacheViewer(s.to_cache(), model=x),
    "CalibrationCache.hex": lambda s, x: s.to_cache().hex(x),
    "CalibrationCache.write": lambda s, x: s.to_cache().write(x),
    "infer": lambda s, x: list(s.runner.infer(x)),
    "amax": lambda s, x: s.amax(x),
    "amax(method)": lambda s, x: s.amax("conv1", x),
    "batch_histogram": lambda s, x: s.batch_histogram("conv1", x),
    "choose": lambda s, x: s.choose(x, method="minmax"),
    "choose(amax)": lambda s, x: s.choose("conv1", amax=x),
    "choose(method)": lambda s, x: s.choose("conv1", method=x),
    "cost": lambda s, x: s.cost("conv1", x),
    "exclude": lambda s, x: s.exclude(x),
    "include": lambda s, x: s.include(x),
    "histogram": lambda s, x: s.histogram(x),
    "run": lambda s, x: s.run(until=0 if x is None else x),
    "save": lambda s, x: s.save(x),
    "write_report": write_report,
    "seek": lambda s, x: s.seek(x),
    "subscribe": lambda s, x: s.subscribe(x)(),
    "thumbnails": lambda s, x: s.thumbnails(x),
    "to_cache(version)": lambda s, x: s.to_cache(version=x),
    "to_cache(rows)": lambda s, x: s.to_cache(rows=x),
    "update(excluded)": lambda s, x: s.update(excluded=x),
    "update(choices)": lambda s, x: s.update(choices=x),
    "update(selected)": lambda s, x: s.update(selected=x),
    "update(position)": lambda s, x: s.update(position=x),
}


def only_our_errors(call):
    """Call with everything: a value may be taken, but what is refused is refused in our words."""
    for what, value in RUBBISH.items():
        refused = ""
        try:
            call(value)
        except TrtcalError as error:
            refused = str(error)
        except Exception as error:  # noqa: BLE001 - the test is that there is none
            pytest.fail(f"{what}: {type(error).__name__}: {error}")
        assert not refused or len(refused) > 20, (what, refused)


@pytest.mark.parametrize("name", ALONE)
def test_rubbish_alone(name):
    only_our_errors(ALONE[name])


@pytest.mark.parametrize(("make", "option"), [(make, name) for make, names in OPTIONS.items() for name in names])
def test_rubbish_as_an_option(make, option):
    only_our_errors(lambda value: make(**{option: value}))


@pytest.mark.parametrize("name", WITH_SESSION)
def test_rubbish_for_a_session(recorded, name):
    state = recorded.state
    try:
        only_our_errors(lambda value: WITH_SESSION[name](recorded, value))
        assert recorded.to_cache().scales, "the session works as before"
    finally:
        recorded.update(position=1, excluded=state.excluded, choices=state.choices, selected=state.selected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ImageFolder(None), "the path of a folder of images is needed (a text or a Path), not None"),
        (lambda: CacheViewer(None), "the path of the calibration file is needed"),
        (lambda: CalibrationCache.read(None), "the path of the calibration cache is needed"),
        (lambda: read_scale_file(["a.cache"]), "not a list"),
        (lambda: IdxImages(None), "the path of an IDX file of images is needed"),
        (lambda: ArrayBatches(None), "array"),
        (lambda: CalibrationSession(None, ONES, batch_size=2), "a model is the path of an ONNX file"),
        (lambda: CalibrationSession(MODEL, None, batch_size=2), "give arrays, a folder of images"),
        (lambda: CalibrationSession.load(None), "the path of a saved session is needed"),
        (lambda: CalibrationSession("empty.onnx", ONES, batch_size=2), "is empty (0 bytes)"),
        (lambda: CalibrationSession("text.txt", ONES, batch_size=2), "is not an ONNX model"),
        (lambda: CalibrationSession("folder", ONES, batch_size=2), "is a folder"),
        (lambda: CalibrationExplorer("model.onnx"), "takes a CalibrationSession, not str"),
        (lambda: AccuracyDebugger(None, None), "CalibrationSession"),
        (lambda: build_qdq(MODEL, None), "the path of a cache"),
        (lambda: session_with(threads=0), "threads (None for all cores) is a whole number of at least 1, not 0"),
        (lambda: folder_with(short_side="big"), "short_side is a whole number of at least 1, not 'big'"),
    ],
)
def test_the_message_says_what_to_pass(call, words):
    with pytest.raises(TrtcalError) as caught:
        call()
    assert words in str(caught.value)


def test_every_public_name_was_tried():
    tried = {name.partition("(")[0].partition(".")[0] for name in (*ALONE, *WITH_SESSION)}
    assert set(trtcal_widgets.__all__) - tried == {"TrtcalError", "__version__", "sample"}
