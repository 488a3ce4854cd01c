"""The extension's summary of a saved session says what the session itself says."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile

import numpy as np
import pytest

from tests.labextension.reader import RefusedError
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.errors import SessionError
from trtcal_widgets.session.persist import FORMAT_VERSION
from trtcal_widgets.session.state import Choice


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50)
    session.run()
    session.update(
        excluded=frozenset({1, 3}),
        choices={"conv1": Choice(amax=3.5), "ip1": Choice(method=Method("minmax"))},
        selected="ip2",
    )
    path = tmp_path_factory.mktemp("sessions") / "mnist.trtcal"
    session.save(path)
    yield session, path
    session.close()


def test_facts(readers, recorded):
    session, path = recorded
    found = readers.ask("session", path=str(path), source="x")
    assert found["model"] == session.graph.name
    assert found["sha256"] == session.graph.sha256
    assert found["opset"] == session.graph.opset
    assert found["rangeMode"] == session.range_mode
    assert found["runner"] == session.runner_name
    assert found["source"] == session.source_text
    assert (found["batchSize"], found["recorded"], found["batches"]) == (50, 10, 10)
    assert (found["samples"], found["totalSamples"], found["dropped"]) == (500, 500, 0)
    assert (found["position"], found["excluded"]) == (10, [1, 3])
    assert (found["method"], found["selected"], found["choices"]) == ("entropy", "ip2", 2)
    assert found["groups"] == len(session.graph.groups)
    assert found["nodes"] == len(session.graph.nodes)
    assert [tensor["name"] for tensor in found["tensors"]] == list(session.calibrated)
    assert found["weights"] == len(session.tensors) - len(session.calibrated)


def test_tensors(readers, recorded):
    session, path = recorded
    for tensor in readers.ask("session", path=str(path), source="x")["tensors"]:
        name = tensor["name"]
        histogram, row = session.histogram(name), session.row(name)
        assert (tensor["minimum"], tensor["maximum"]) == (histogram.minimum, histogram.maximum)
        assert tensor["amax"] == histogram.amax
        assert (tensor["zeros"], tensor["nans"], tensor["infs"]) == (histogram.zeros, histogram.nans, histogram.infs)
        assert tensor["group"] == list(session.graph.group_of(name))
        assert (tensor["opType"] or "") == (session.graph.op_type(name) if tensor["kind"] != "input" else "")
        assert (tensor["dtype"], tensor["shape"]) == (row.dtype, row.shape_text)
        choice = session.state.choices.get(session.graph.group_of(name)[0])
        assert tensor["choice"] == (None if choice is None else choice.to_json())
        assert len(tensor["perBatch"]) == 10
        assert max(value for i, value in enumerate(tensor["perBatch"]) if i not in {1, 3}) == histogram.amax


def test_only_the_counted_batches_count(readers, recorded, tmp_path):
    with CalibrationSession.load(recorded[1]) as loaded:
        loaded.seek(1)
        one = tmp_path / "one.trtcal"
        loaded.save(one)
        expected = {name: loaded.histogram(name).amax for name in loaded.calibrated}
    found = readers.ask("session", path=str(one), source="x")
    assert {tensor["name"]: tensor["amax"] for tensor in found["tensors"]} == expected
    assert found["position"] == 1


@pytest.mark.parametrize("out", [(7, 8, 120), (*range(100, 150), 3), tuple(range(300, 350))])
def test_samples_that_are_left_out_do_not_count(readers, tmp_path, out):
    """What is left of a batch is counted, and nothing of a batch of which nothing is left."""
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=8) as session:
        session.run()
        session.update(excluded=frozenset({4}))
        session.samples.leave_out(5, 6)  # another choice, which is in the file as well
        session.samples.choose(out)
        session.save(tmp_path / "left.trtcal")
        expected = {name: session.histogram(name) for name in session.calibrated}
    found = readers.ask("session", path=str(tmp_path / "left.trtcal"), source="x")
    for tensor in found["tensors"]:
        histogram = expected[tensor["name"]]
        assert (tensor["minimum"], tensor["maximum"], tensor["amax"]) == (
            histogram.minimum, histogram.maximum, histogram.amax,
        )  # fmt: skip
        assert (tensor["zeros"], tensor["nans"], tensor["infs"]) == (histogram.zeros, histogram.nans, histogram.infs)
    assert found["samplesOut"] == sorted(out)
    whole = {batch for batch in range(8) if set(range(50 * batch, 50 * batch + 50)) <= set(out)}
    assert found["counted"] == [batch for batch in range(8) if batch != 4 and batch not in whole]


def test_a_session_before_its_first_batch(readers, tmp_path):
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as session:
        session.save(tmp_path / "new.trtcal")
    found = readers.ask("session", path=str(tmp_path / "new.trtcal"), source="x")
    assert found["recorded"] == 0
    assert all(np.isnan(tensor["amax"]) for tensor in found["tensors"] if tensor["kind"] != "constant")


def rewritten(path, change):
    """The same zip with other members."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def other_facts(members, **change):
    members["session.json"] = json.dumps({**json.loads(members["session.json"]), **change}).encode()


def test_a_newer_format_is_refused(readers, recorded, tmp_path):
    path = tmp_path / "newer.trtcal"
    path.write_bytes(rewritten(recorded[1], lambda members: other_facts(members, format_version=FORMAT_VERSION + 1)))
    with pytest.raises(RefusedError, match="newer version"):
        readers.ask("session", path=str(path), source="newer.trtcal")


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-30],
        lambda whole: whole[100:],
        lambda whole: whole[:200] + bytes([whole[200] ^ 255]) + whole[201:],
        lambda whole: b"PK\x03\x04" + bytes(100),
        lambda whole: b"",
    ],
    ids=["end", "beginning", "one byte", "zeros", "empty"],
)
def test_damaged_files_are_refused(readers, recorded, tmp_path, damage):
    path = tmp_path / "damaged.trtcal"
    path.write_bytes(damage(recorded[1].read_bytes()))
    with pytest.raises(RefusedError, match=r"^d\.trtcal: this is not a saved session, or it is damaged"):
        readers.ask("session", path=str(path), source="d.trtcal")


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members.pop("session.json"),
        lambda members: members.pop("records.npy"),
        lambda members: other_facts(members, format="something else"),
        lambda members: other_facts(members, graph={}),
        lambda members: other_facts(members, state=None),
        lambda members: members.update({"session.json": b"[]"}),
        lambda members: members.update({"session.json": b"{"}),
        lambda members: members.update({"records.npy": members["constants.npy"][:60]}),
        lambda members: members.update({"records.npy": members["records.npy"].replace(b"<f8", b"<f4")}),
    ],
)
def test_sessions_with_wrong_parts_are_refused(readers, recorded, tmp_path, change):
    path = tmp_path / "wrong.trtcal"
    path.write_bytes(rewritten(recorded[1], change))
    with pytest.raises(RefusedError):
        readers.ask("session", path=str(path), source="wrong.trtcal")


ODD = [None, True, -1, 1.5, 2**50, math.nan, "x", "", [], [1], [[1, [2]]], {}, {"a": 1}]


def places(value, path=()):
    """Where something else could stand in JSON; of long lists the first and the last."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for place in sorted({0, len(value) - 1}) if value else ():
            yield from places(value[place], (*path, place))


def replaced(value, path, other):
    if not path:
        return other
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], other)
    return copied


NOT_SHOWN = re.compile(
    r"graph/(metadata|passing|outputs|trt8/rows|trt8/left_out|tensors/\d+/[56])|bases|weights|"
    r"samples/\d+/(extremes|facts|names|labels)|status/(phase|recorded|seconds_left|message|pass_name|pass_done)"
)


def test_facts_that_no_session_has_are_refused_in_words(readers, recorded, tmp_path):
    """Whatever stands anywhere in its facts: what the package does not open for what is shown is not shown."""
    with zipfile.ZipFile(recorded[1]) as archive:
        facts = json.loads(archive.read("session.json"))
    random = np.random.default_rng(3)
    file = tmp_path / "odd.trtcal"
    wrong = []
    for path in places(facts):
        if path[:1] == ("weights",):
            continue
        changed = json.dumps(replaced(facts, path, ODD[random.integers(len(ODD))])).encode()
        file.write_bytes(rewritten(recorded[1], lambda members, facts=changed: members.update({"session.json": facts})))
        taken = True
        try:
            CalibrationSession.load(file).close()
        except SessionError:
            taken = False
        refusal = readers.refusal("session", path=str(file), source="odd.trtcal")
        assert refusal == "" or refusal.startswith("odd.trtcal")
        place = "/".join(map(str, path))
        if (taken and refusal) or not (taken or refusal or NOT_SHOWN.match(place)):
            wrong.append((place, taken, refusal))
    assert wrong == []


def test_histograms_are_not_read(readers, tmp_path):
    """Only facts, extremes and tallies of a session are shown: its counts, the most of it, stay where they are."""
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=5) as session:
        session.run()
        session.save(tmp_path / "many.trtcal")
    size = (tmp_path / "many.trtcal").stat().st_size
    cost = readers.ask("cost", path=str(tmp_path / "many.trtcal"), kind="session")
    assert cost["requests"] < 10
    assert cost["read"] < 0.5 * size


def test_a_size_that_no_honest_file_has_is_refused(readers, recorded, tmp_path):
    """Nothing is set aside for the 900 MB that a few bytes claim to be."""
    data = bytearray(recorded[1].read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (900_000_000).to_bytes(4, "little")
    path = tmp_path / "bomb.trtcal"
    path.write_bytes(bytes(data))
    with pytest.raises(RefusedError, match="claims a size"):
        readers.ask("session", path=str(path), source="bomb.trtcal")


def test_a_server_that_is_gone_is_no_damage(readers, recorded):
    """Nobody is told to record anew what is whole."""
    said = [readers.ask("lost", path=str(recorded[1]), kind="session", after=n) for n in range(12)]
    assert set(said) == {"gone", "read"}
    assert said[0] == "gone"
    model = str(sample.model_path())
    assert readers.ask("lost", path=model, kind="onnx", after=0) == "gone"
    assert readers.ask("lost", path=model, kind="onnx", after=1) in ("gone", "read")
