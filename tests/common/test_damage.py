"""Bytes that nobody vouches for: one kind of error comes out, quickly, and no file becomes larger than files are."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import re
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.support.shared import shared_path
from trtcal_widgets import CalibrationSession, ImageFolder, read_scale_file, sample
from trtcal_widgets.cli.many import read_entries
from trtcal_widgets.common.damage import check_expansion, damage_as
from trtcal_widgets.data import as_source
from trtcal_widgets.data.idx import read_idx
from trtcal_widgets.data.lists import read_list
from trtcal_widgets.debug.tuning.journal import Journal
from trtcal_widgets.errors import DataError, ModelError, TrtcalError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.model.engine.precisions import as_precisions
from trtcal_widgets.model.graph import ModelGraph
from trtcal_widgets.model.load import load_graph
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.trt.builder import use_timing_cache
from trtcal_widgets.trt.engine import Engine
from trtcal_widgets.widgets.kit.file_form import checked_path

_HANGS = 10
"""Seconds of processor time after which something is not slow but hangs."""

READERS = {
    "npy": lambda path: as_source(path).load(0, 2),
    "npz": lambda path: as_source(path).load(0, 2),
    "onnx": load_graph,
    "plan": PrecisionPlan.load,
}
DAMAGED = ["npy_1.bin", "npy_3.bin", "npz_2.bin", "npz_5.bin", "onnx_1.bin", "plan_1.bin"]


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_lets_no_foreign_error_out(tmp_path, name):
    kind = name.partition("_")[0]
    path = tmp_path / f"x.{kind}"
    path.write_bytes(shared_path("repro", "files", name).read_bytes())
    if name == "onnx_1.bin":  # an operator that nobody knows: facts can be had of it
        assert READERS[kind](path).nodes
        return
    with pytest.raises(TrtcalError, match=re.escape(str(path))):
        READERS[kind](path)


@pytest.mark.parametrize("raised", [RecursionError, OverflowError, MemoryError, KeyError("k"), AttributeError("a\nb")])
def test_whatever_a_parser_raises_becomes_ours(raised):
    with pytest.raises(DataError, match=r"^x is damaged.*Do this$"), damage_as(DataError, "x is damaged", "Do this"):
        raise raised


def test_a_file_that_may_not_be_read_is_not_called_damaged():
    error = PermissionError(13, "Permission denied", "a.trtcal")
    with (
        pytest.raises(DataError, match=r"^a\.trtcal cannot be read: Permission denied. Check its permissions"),
        damage_as(DataError, "a.trtcal: this is no session", "Save it again"),
    ):
        raise error


def test_interrupts_and_our_own_errors_go_through():
    with pytest.raises(KeyboardInterrupt), damage_as(DataError, "x", "y"):
        raise KeyboardInterrupt
    with pytest.raises(TrtcalError, match="own"), damage_as(DataError, "x", "y"):
        raise TrtcalError("own")


def npy_header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


ZEROS = bytes(4 << 20)


class ZerosOnce:
    """What an archive compresses with: the same zeros for the second time give what they gave for the first."""

    def __init__(self):
        self._deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._zeros = None

    def compress(self, data):
        if data is not ZEROS or self._zeros is None:
            # A full flush: what comes behind it needs nothing of what was before.
            found = self._deflate.compress(data) + self._deflate.flush(zlib.Z_FULL_FLUSH)
            if data is not ZEROS:
                return found
            self._zeros = found
        return self._zeros

    def flush(self):
        return self._deflate.flush()


def test_an_archive_that_promises_gigabytes_is_refused_with_both_numbers(tmp_path):
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as file,
    ):
        file._compressor = ZerosOnce()
        file.write(npy_header((800, 1 << 20)))
        for _ in range(800):
            file.write(ZEROS)
    assert path.stat().st_size < 5_000_000
    begun = time.process_time()
    with pytest.raises(DataError, match=r"would take 3,355 MB, and the file has 3\.\d+ MB"):
        as_source(path)
    assert time.process_time() - begun < _HANGS


def test_an_array_whose_header_lies_is_refused_before_it_is_made(tmp_path):
    path = tmp_path / "lie.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy_header((1 << 40,)) + bytes(100))
    with pytest.raises(DataError, match=r"promises 4,398,046,511,\d+ bytes.*it has \d+"):
        as_source(path)


def test_compressed_archives_of_honest_data_are_read(tmp_path):
    x = np.zeros((20, 3, 64, 64), np.float32)
    np.savez_compressed(tmp_path / "x.npz", x=x)
    np.testing.assert_array_equal(as_source(tmp_path / "x.npz").load(0, 20)["x"], x)


def test_a_zipped_idx_file_of_gigabytes_is_refused_before_the_memory_is_full(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", 50_000, 300, 300) + bytes(300_000_000), 1))
    with pytest.raises(DataError, match=r"50000x300x300, would take 4,500 MB, and the file has"):
        read_idx(path)


def test_a_limit_is_a_limit(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(bytes(10))
    check_expansion(path, 1 << 28, "x", DataError, advice="")
    with pytest.raises(DataError):
        check_expansion(path, (1 << 28) + 1, "x", DataError, advice="")


LONG = {
    "digits": "1" * 200_000 + "x",
    "digits and dots": "1." * 100_000,
    "exponents": "1e" * 100_000,
    "signs": "+-" * 100_000,
    "brackets": "(Unnamed Layer* " * 12_000,
    "spaces": " " * 200_000 + "x",
    "colons": ":" * 200_000,
    "quotes": '"' * 200_000,
}


@pytest.mark.parametrize("text", LONG, ids=str)
@pytest.mark.parametrize(
    "form", ["{}", "x:{}", "x {}", "x: {}", "TRT-8601-EntropyCalibration2\nx: {}\n", "{{{}}}", "TRT-{}"]
)
def test_no_text_keeps_a_reader_busy(tmp_path, text, form):
    """A pattern that tries every split takes half an hour for these; reading takes hundredths of a second."""
    path = tmp_path / "x.cache"
    path.write_text(form.format(LONG[text]))
    begun = time.process_time()
    with contextlib.suppress(TrtcalError):
        read_scale_file(path)
    assert time.process_time() - begun < _HANGS


def layer(name, metadata=""):
    return {"Name": name, "LayerType": "x", "Inputs": [], "Outputs": [], "Metadata": metadata}


LONG_LAYERS = {
    "metadata that never ends": layer("x", "[ONNX Layer: " * 70_000),
    "metadata of many nodes": layer("x", "[ONNX Layer: conv1]\x1e" * 50_000),
    "one node many times": layer("conv1 + " * 100_000),
    "a name in a name": layer("conv1" * 200_000),
}


@pytest.mark.parametrize("what", LONG_LAYERS)
def test_no_layer_keeps_the_reader_of_engines_busy(tmp_path, what):
    path = tmp_path / "layers.json"
    path.write_text(json.dumps({"Layers": [LONG_LAYERS[what]]}))
    graph = load_graph(sample.model_path())
    begun = time.process_time()
    with contextlib.suppress(TrtcalError):
        as_precisions(path, graph)
    assert time.process_time() - begun < _HANGS


LONG_LISTS = {"list.txt": "x.png 1\n" * 100_000 + "x.png 2\n", "models.yaml": "- {model: a, data: b}\n" * 20_000}


@pytest.mark.parametrize("name", LONG_LISTS)
def test_no_list_keeps_its_reader_busy(tmp_path, name):
    (tmp_path / "x.png").touch()
    (tmp_path / name).write_text(LONG_LISTS[name])
    begun = time.process_time()
    with contextlib.suppress(TrtcalError):
        read_list(tmp_path / name) if name == "list.txt" else read_entries(tmp_path / name)
    assert time.process_time() - begun < _HANGS


def damaged_facts():
    """The facts of the bundled model with one field at a time replaced by something else."""
    from trtcal_widgets import sample

    good = load_graph(sample.model_path()).to_json()
    for field in good:
        for wrong in (None, 1.5, "text", [], {}, [[]], [None], {"a": 1}):
            yield f"{field}={wrong!r}", {**good, field: wrong}
    for field in ("nodes", "tensors"):
        for place in range(len(good[field][0])):
            for wrong in (None, 1.5, "text", -7, 10**6, 10**400, [], [None], {}, [10**6], True):
                damaged = json.loads(json.dumps(good))
                damaged[field][0][place] = wrong
                yield f"{field}[0][{place}]={str(wrong)[:20]}", damaged


def use(graph):
    """Ask for everything that facts are asked for."""
    repr(graph)
    for name in graph.tensors:
        graph.relatives(name), graph.op_type(name)
    return graph.calibrated, graph.float_tensors, graph.inputs, graph.outputs, graph.to_json()


def test_facts_are_refused_or_can_be_used():
    used = []
    cases = list(damaged_facts())
    for what, facts in cases:
        with contextlib.suppress(TrtcalError):
            use(ModelGraph.from_json(facts))
            used.append(what)
    assert len(cases) - len(used) > 100, used


PATHS = ["x" * 5000, "a/" * 3000 + "b", "loop", "empty/x", "nowhere/x", "folder", "empty"]
TAKE_PATHS = {
    "as_source": as_source,
    "load_graph": load_graph,
    "ImageFolder": ImageFolder,
    "read_scale_file": read_scale_file,
    "load": CalibrationSession.load,
    "plan": PrecisionPlan.load,
    "save plan": PrecisionPlan().save,
    "build_qdq": lambda path: build_qdq(path, {}),
    "CalibrationSession": lambda path: CalibrationSession(path, [1]),
}


@pytest.mark.parametrize("what", TAKE_PATHS)
def test_paths_that_no_file_has_are_refused_in_words(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    for path in PATHS:
        if what == "save plan" and path == "empty":
            continue
        with pytest.raises(TrtcalError):
            TAKE_PATHS[what](path)


STRANGE = ["x" * 5000, "a/" * 3000 + "b", "a\0b", "loop"]


@pytest.mark.parametrize("name", STRANGE)
def test_names_inside_files_that_no_file_has_are_refused_in_words(tmp_path, name):
    """Lists of images and models with external data say which files to read."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "list.txt").write_text(f"{name}\n")
    with pytest.raises(DataError, match=r"list\.txt, line 1"):
        as_source(tmp_path / "list.txt")
    proto = onnx.load(sample.model_path())
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=name)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError):
        load_graph(tmp_path / "m.onnx")


@pytest.mark.parametrize("name", [STRANGE[0], STRANGE[1], "loop"])
def test_states_that_no_file_can_be_are_refused_in_words(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(TrtcalError):
        Journal(name, {})
    with pytest.raises(TrtcalError):
        Engine.load(name)
    with pytest.raises(TrtcalError):
        use_timing_cache(None, Path(name))
    if name != "loop":  # a link without an end is a file that can be replaced
        with pytest.raises(TrtcalError):
            checked_path(name, "x")


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everywhere")
@pytest.mark.parametrize("what", TAKE_PATHS)
def test_a_closed_folder_is_refused_in_words(tmp_path, what):
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(TrtcalError):
        TAKE_PATHS[what](tmp_path / "closed" / "x")
