"""Damage files at random and read them: nothing but a ``TrtcalError`` may come out, and none may hang.

    python tools/fuzz.py [--seconds 120 | --inputs 1600] [--seed 1] [--only session,npz] [--keep DIR]

Every reader gets files of its own kind, with bytes flipped, cut out, repeated and replaced, with numbers and words of
its text changed, and, for archives, with their members damaged inside a whole archive. What is read is used: a session
is asked for its table and its cache, arrays for a batch. It goes on for a time, or until each reader had so many
inputs, which are then the same on every machine. Prints how many inputs each reader got and what became of them; exit
code 1 where a foreign exception came out or one input took longer than ``--slow`` seconds.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import io
import json
import math
import random
import re
import sys
import tempfile
import time
import warnings
import zipfile
from functools import cache
from itertools import cycle
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets import CalibrationSession, read_scale_file, sample
from trtcal_widgets.cli.commands.debug import read_labels
from trtcal_widgets.cli.many import argv_of, read_entries
from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.data import as_source
from trtcal_widgets.debug.remembered import plain_score
from trtcal_widgets.debug.tuning.journal import FORMAT as JOURNAL_FORMAT
from trtcal_widgets.debug.tuning.journal import Journal
from trtcal_widgets.errors import TrtcalError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.formats.reading import convert
from trtcal_widgets.gpu.driver import DeviceInfo
from trtcal_widgets.model.engine.precisions import LayerPrecisions, as_precisions
from trtcal_widgets.model.explicit.table import read_scales
from trtcal_widgets.model.load import load_graph
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.runners.evaluation import Score
from trtcal_widgets.trt.engine import FORMAT as ENGINE_FORMAT
from trtcal_widgets.trt.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from trtcal_widgets.model.graph import ModelGraph

WORDS = [
    b"",
    b"nan",
    b"inf",
    b"-1",
    b"1e999",
    b"9" * 400,
    b"null",
    b"true",
    b"{}",
    b"[]",
    b'"x"',
    b"\xff",
    b"\0",
    b"0x10",
]
TOKEN = re.compile(rb'-?[0-9][0-9.eE+-]*|"[^"]{0,40}"|[A-Za-z_]{2,40}')


def use_session(path: Path) -> None:
    """Ask a loaded session for what a screen, an export and a report ask for."""
    with CalibrationSession.load(path) as session:
        session.table()
        session.histogram(session.state.selected)
        session.to_cache(version="8.6.1")
        session.seek(min(1, session.status.recorded))
        session.table()


def use_source(path: Path) -> None:
    """Load the first samples."""
    source = as_source(path)
    source.describe()
    source.load(0, 2)
    source.thumbnails(0, 1)


def use_scales(path: Path) -> None:
    """Read a file of scales and write it in other formats."""
    table = read_scale_file(path)
    for target in ("cache", "json"):
        with contextlib.suppress(TrtcalError):
            convert(table, target, version="8.6.1")  # type: ignore[arg-type]


def use_folder(path: Path) -> None:
    """Read an image or a batch file in the folder that holds nothing else."""
    use_source(path.parent)


@cache
def sample_graph() -> ModelGraph:
    """Read the bundled model, once."""
    return load_graph(sample.model_path())


def use_layers(path: Path) -> None:
    """Read what an engine ran each layer in."""
    as_precisions(path, sample_graph())


ENGINE = b"not damaged itself"


def use_engine(path: Path) -> None:
    """Load an engine by the JSON beside it, and ask whether it runs here."""
    path.with_suffix("").write_bytes(ENGINE)
    engine = Engine.load(path.with_suffix(""))
    device = DeviceInfo(0, "NVIDIA H100", (9, 0), 1 << 30, 12080)
    engine.misfit(engine.tensorrt, device)


def use_models(path: Path) -> None:
    """Read a list of models, and make the arguments of each."""
    for entry in read_entries(path):
        if not entry.wrong:
            with contextlib.suppress(TrtcalError):
                argv_of(entry)


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "session": ("trtcal", use_session),
    "cache": ("cache", use_scales),
    "json": ("json", use_scales),
    "flatbuffers": ("bin", use_scales),
    "npy": ("npy", use_source),
    "npz": ("npz", use_source),
    "idx": ("idx", use_source),
    "gz": ("gz", use_source),
    "plan": ("json", PrecisionPlan.load),
    "onnx": ("onnx", load_graph),
    "qdq": ("onnx", read_scales),
    "foreign": ("json", use_scales),
    "list": ("txt", use_source),
    "image": ("png", use_folder),
    "batch": ("batch", use_folder),
    "labels": ("txt", read_labels),
    "layers": ("json", use_layers),
    "engine": ("engine.json", use_engine),
    "models": ("yaml", use_models),
    "journal": ("json", lambda path: Journal(path, {"model": "x"})),
}
"""Kind -> the ending of its files, and what reads and uses one."""


def seeds(folder: Path) -> dict[str, list[bytes]]:
    """Make a few whole files of every kind."""
    session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=3)
    with session:
        session.run()
        session.choose("conv1", amax=1.5)
        session.save(folder / "s.trtcal")
        cache = session.to_cache(version="8.6.1")
    rng = np.random.default_rng(0)
    np.save(folder / "x.npy", rng.random((4, 1, 8, 8), np.float32))
    np.savez(folder / "x.npz", a=rng.random((4, 3), np.float32), b=np.arange(4))
    np.savez_compressed(folder / "y.npz", a=np.zeros((4, 3), np.float32))
    idx = b"\0\0\x08\x03" + np.array([2, 4, 4], ">u4").tobytes() + bytes(range(32))
    import gzip

    plan = PrecisionPlan(keep=("conv1",), amax={"conv1": 1.5}, reasons={"conv1": "x"})
    return {
        "session": [(folder / "s.trtcal").read_bytes()],
        "cache": [cache.to_bytes(), convert(cache, "ranges"), convert(cache, "ort")],
        "json": [convert(cache, "json")],
        "flatbuffers": [convert(cache, "flatbuffers")],
        "npy": [(folder / "x.npy").read_bytes()],
        "npz": [(folder / "x.npz").read_bytes(), (folder / "y.npz").read_bytes()],
        "idx": [idx],
        "gz": [gzip.compress(idx)],
        "plan": [plan.to_json().encode()],
        "onnx": [sample.model_path().read_bytes()],
        "qdq": [build_qdq(sample.model_path(), cache).proto.SerializeToString()],
        **texts(),
    }


def texts() -> dict[str, list[bytes]]:
    """Make whole files of the kinds that are text or images."""
    from PIL import Image

    images = []
    for form in ("png", "jpeg", "gif", "tiff", "bmp", "webp"):
        buffer = io.BytesIO()
        Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(buffer, form)
        images.append(buffer.getvalue())
    aimet = {"bitwidth": 8, "dtype": "int", "is_symmetric": "True", "max": 1.0, "min": -1.0, "offset": -128}
    newer = {"name": "x", "bw": 8, "dtype": "INT", "enc_type": "PER_TENSOR", "is_sym": True, "scale": [0.01]}
    ppq = {"x": {"bit_width": 8, "policy": {"PER_TENSOR": True, "SYMMETRICAL": True}, "hash": 11, "dominator": 11}}
    foreign = [
        {"version": "0.6.1", "activation_encodings": {"x": [{**aimet, "scale": 0.01}]}, "param_encodings": {"w": []}},
        {"version": "1.0.0", "activation_encodings": [{**newer, "offset": [-128]}], "param_encodings": []},
        {"configs": {"Conv_0": ppq}, "values": {"11": {"scale": 0.01, "zero_point": 0}}},
        {"x": {"scale": 0.01, "min": 0, "max": 0, "offset": 0}, "y": {"min": -2.0, "max": 1.0, "offset": 0}},
        {"CLS": "TensorsData", "data": {"x": {"CLS": "TensorData", "lowest": -1.0, "highest": 2.0, "avg": None}}},
    ]
    tensor = {"Name": "data", "Location": "Device", "Dimensions": [1], "Format/Datatype": "Row major Int8 format"}
    layer = {"Name": "conv1 + relu1", "LayerType": "CaskConvolution", "Inputs": [tensor], "Outputs": [tensor]}
    precisions = LayerPrecisions(MappingProxyType({"conv1": "int8"}), MappingProxyType({"conv1": ("data",)}), "")
    score = plain_score(Score(4, 0.5, 0.75, 0.25, TensorComparison.of(np.ones(4, np.float32), np.ones(4, np.float32))))
    timed = {
        "ms": 1.0,
        "layers": [{"name": "a", "ms": 0.5, "nodes": ["conv1"]}],
        "ran": json.loads(precisions.to_json()),
    }
    engine = {
        "format": ENGINE_FORMAT,
        "model": {"file": "m.onnx", "sha256": "0" * 64, "opset": 17},
        "tensorrt": "10.16.1.11",
        "device": {"name": "NVIDIA H100", "compute_capability": [9, 0], "driver": 12080},
        "debug": {"kind": "marked", "names": ["conv1"], "missing": []},
        "engine": {"file": "0.engine", "sha256": hashlib.sha256(ENGINE).hexdigest(), "bytes": len(ENGINE)},
    }
    journal = {"format": JOURNAL_FORMAT, "subject": {"model": "x"}, "measured": {"k": timed}}
    return {
        "foreign": [json.dumps(one).encode() for one in foreign],
        "list": [b"picture.png 3\n../list/picture.png 4\n", b"# all\n'picture.png'\n", b"\xef\xbb\xbfpicture.png\r\n"],
        "image": images,
        "batch": [np.array([2, 1, 2, 2], "<i4").tobytes() + np.arange(10, dtype="<f4").tobytes()],
        "labels": [b"1\n2\n3\n", b"\xef\xbb\xbf7 8 9", b"\0\0\x08\x01\0\0\0\x03\1\2\3"],
        "layers": [json.dumps({"Layers": [layer], "Bindings": []}).encode(), precisions.to_json().encode()],
        "engine": [json.dumps(engine).encode()],
        "models": [b"defaults:\n  method: mse\nmodels:\n  - model: a.onnx\n    data: calib\n    size: [8, 8]\n"],
        "journal": [json.dumps({**journal, "scores": {"k": score}, "losses": {"conv1": 0.5}}).encode()],
    }


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes with one to four things changed."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not out:
            return bytes(out)
        at = rng.randrange(len(out))
        n = min(rng.choice([1, 1, 2, 4, 8, 64, 1024]), len(out) - at)
        match rng.randrange(7):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at : at + n] = rng.randbytes(n)
            case 2:
                del out[at : at + n]
            case 3:
                out[at:at] = out[at : at + n] * rng.choice([1, 2, 16])
            case 4:
                out[at : at + n] = bytes([rng.choice([0, 0xFF, 0x7F, 0x80])]) * n
            case 5:
                del out[at:]
            case _:
                near = rng.randrange(min(len(out), 1 << 16))
                if found := TOKEN.search(out, near) or TOKEN.search(out):
                    start, end = found.span()
                    out[start:end] = rng.choice(WORDS)
    return bytes(out)


def damaged_json(data: bytes, rng: random.Random) -> bytes:
    """Return JSON that is whole, with one value somewhere in it replaced by another kind of value."""
    value = json.loads(data)
    places: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        one = stack.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else []
        for key in keys:
            places.append((one, key))
            stack.append(one[key])
    for _ in range(rng.randint(1, 3)):
        holder, key = rng.choice(places)
        strange: list[Any] = [None, True, -1, 1.5, 10**30, "", "x", [], {}, [[]], float("nan"), {"a": []}]
        with contextlib.suppress(KeyError, IndexError):  # its holder was replaced before
            if rng.random() < 0.2:
                del holder[key]
            else:
                holder[key] = rng.choice(strange)
    return json.dumps(value).encode()


def damaged_archive(data: bytes, rng: random.Random) -> bytes:
    """Return a whole archive of which one member is damaged, is missing, or is there twice."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        chosen = rng.choice(old.namelist())
        for name in old.namelist():
            content = old.read(name)
            if name == chosen:
                if rng.random() < 0.1:
                    continue
                is_json = name.endswith(".json") and rng.random() < 0.7
                content = damaged_json(content, rng) if is_json else damaged(content, rng)
            new.writestr(name, content)
    return buffer.getvalue()


def variant(kind: str, data: bytes, rng: random.Random) -> bytes:
    """Return one damaged file of a kind."""
    if kind in ("session", "npz") and rng.random() < 0.7:
        return damaged_archive(data, rng)
    if READERS[kind][0].endswith("json") and data[:1] == b"{" and rng.random() < 0.5:
        return damaged_json(data, rng)
    return damaged(data, rng)


def fuzz(
    kinds: list[str], seed: int, keep: Path | None, slow: float, *, seconds: float = math.inf, inputs: float = math.inf
) -> tuple[dict[str, collections.Counter[str]], list[str]]:
    """Read damaged files, one of each kind in turn, until the time is over or each kind had so many of them.

    Returns what became of them by kind, and what must not happen. A kind's files follow from the seed and its name.
    """
    chance = {kind: random.Random(f"{seed} {kind}") for kind in kinds}  # noqa: S311 - repeatable on purpose
    results: dict[str, collections.Counter[str]] = {kind: collections.Counter() for kind in kinds}
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = seeds(folder)
        for kind in READERS:
            (folder / kind).mkdir()
        (folder / "list" / "picture.png").write_bytes(whole["image"][0])
        end = time.monotonic() + seconds
        for kind in cycle(kinds):
            if time.monotonic() >= end or results[kind].total() >= inputs:
                break
            ending = READERS[kind][0]
            data = variant(kind, chance[kind].choice(whole[kind]), chance[kind])
            path = folder / kind / f"0.{ending}"
            path.write_bytes(data)
            outcome, wrong = read_one(kind, path, slow)
            results[kind][outcome] += 1
            faults += wrong
            if keep is not None and wrong:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{kind}_{len(faults)}.{ending}").write_bytes(data)
    return results, faults


def read_one(kind: str, path: Path, slow: float) -> tuple[str, list[str]]:
    """Read a file; return what became of it, and what must not happen."""
    faults = []
    begun = time.process_time()
    try:
        READERS[kind][1](path)
        outcome = "read"
    except TrtcalError as error:
        outcome = type(error).__name__
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        outcome = f"FOREIGN {type(error).__name__}"
        faults.append(f"{kind}: {type(error).__name__}: {error}")
    took = time.process_time() - begun
    if took > slow:
        faults.append(f"{kind}: {took:.1f} s for {path.stat().st_size:,} bytes")
    return outcome, faults


def main() -> int:
    """Run and print; exit code 1 where something foreign came out."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, help="how long; 120 where --inputs is not given")
    length.add_argument("--inputs", type=int, help="how many for each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(READERS), help="kinds, with commas between")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that went wrong")
    parser.add_argument("--slow", type=float, default=10, help="seconds of processor time that no input may take")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    until = {name: value for name, value in vars(arguments).items() if name in ("seconds", "inputs") and value}
    kinds = arguments.only.split(",")
    results, faults = fuzz(kinds, arguments.seed, arguments.keep, arguments.slow, **(until or {"seconds": 120}))
    print("| reader | inputs | what became of them |\n|---|---:|---|")
    for kind, counts in results.items():
        outcomes = ", ".join(f"{name} {n:,}" for name, n in counts.most_common())
        print(f"| {kind} | {counts.total():,} | {outcomes} |")
    for fault in sorted(set(faults)):
        print("FAULT", fault[:300])
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
