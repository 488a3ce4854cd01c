from __future__ import annotations

import base64
import io
import json
import sys
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.shared import shared_files, shared_path
from trtcal_widgets import sample
from trtcal_widgets.errors import CacheFormatError, ModelError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.reading import read_scale_file, scales_from_bytes
from trtcal_widgets.session import CalibrationSession
from trtcal_widgets.widgets.cache import CacheViewer
from trtcal_widgets.widgets.cache.facts import arrange, read_facts
from trtcal_widgets.widgets.cache.ranges_view import MAX_POINTS, thin_out
from trtcal_widgets.widgets.cache.state import PAGE

FILES = (
    "caches/diffusion.TRT-8601.cache", "caches/resnet18-cifar10.TRT-8003.cache", "caches/resnet50.dynamic-range.txt",
    "caches/resnet50v2.onnxruntime-ep.cache", "caches/resnet50v2.onnxruntime-ep.flatbuffers",
    "caches/resnet50v2.onnxruntime-ep.json", "caches/unet-prelu.TRT-8001.cache",
    "caches/vgg16-cifar10.TRT-8400-minmax.cache", "caches/yolo11.TRT-101200.cache", "caches/yolov8.TRT-101401.cache",
    "golden/CalibrationTablemnist", "golden/LegacyCalibrationTable",
)  # fmt: skip
HEADER = "TRT-8601-EntropyCalibration2\n"


def cache(*rows, header=HEADER):
    return CalibrationCache.from_bytes((header + "".join(f"{row}\n" for row in rows)).encode())


def ask(viewer, **message):
    """Send a message as the browser does, and return what the kernel sends back."""
    with patch.object(viewer.table, "send", autospec=True) as send:
        viewer.table._handle_custom_msg(message, [])
    return [call.args[0] for call in send.call_args_list]


def shown(viewer):
    """Names of all rows in their present order."""
    pages = -(-viewer.table.view["total"] // PAGE)
    return [row[2] for page in range(pages) for row in viewer.binding.page(page)]


def groups(viewer):
    return {group.key: group for group in viewer.facts.groups}


# ---- every file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shared_files("data", *FILES))
def test_every_published_file_row_by_row(name):
    path = shared_path(*name.split("/"))
    viewer, file = CacheViewer(path), read_scale_file(path)
    assert shown(viewer) == list(file.scales)
    column = viewer.facts.mine
    assert [column.hex(row) for row in range(len(file.scales))] == [file.hex(tensor) for tensor in file.scales]
    np.testing.assert_array_equal(column.amax, list(file.amax.values()))
    np.testing.assert_array_equal(column.scale, list(file.scales.values()))
    assert json.dumps(viewer.table.get_state(), allow_nan=False)


def test_a_path_an_object_and_a_broken_file(tmp_path):
    path = shared_path("data/golden/CalibrationTablemnist")
    assert shown(CacheViewer(read_scale_file(path))) == shown(CacheViewer(str(path)))
    broken = tmp_path / "x.cache"
    broken.write_text(HEADER + "x: zz\n")
    with pytest.raises(CacheFormatError, match="line 2"):
        CacheViewer(broken)
    with pytest.raises(CacheFormatError, match="no such file"):
        CacheViewer(path, other=tmp_path / "none")
    with pytest.raises(ModelError):
        CacheViewer(path, model=broken)


# ---- what is odd --------------------------------------------------------------------------------------------------


def test_oddities_of_a_real_file():
    viewer = CacheViewer(shared_path("data/caches/diffusion.TRT-8601.cache"))
    found = groups(viewer)
    assert {key: len(group.rows) for key, group in found.items() if key != "synthetic"} == {"inf": 7, "zero": 80}
    assert "attention mask" in found["inf"].text
    assert (viewer.facts.mine.bits[found["zero"].rows] == 0).all()
    assert viewer.facts.groups[0].key == "inf", "the worst first"
    row = int(found["inf"].rows[0])
    assert viewer.facts.severities[row] == "error"
    viewer.select(row)
    assert viewer.table.detail["name"] == "(Unnamed Layer* 273) [Constant]_output"
    assert any("infinite" in note for note in viewer.table.detail["notes"])
    assert any("ONNX parser" in note for note in viewer.table.detail["notes"])


def test_a_name_twice_shows_both_rows_and_compares_the_last():
    viewer = CacheViewer(cache("x: 3f800000", "y: 3f800000", "x: 40000000"), cache("x: 40000000", "y: 3f800000"))
    assert shown(viewer) == ["x", "y", "x"]
    assert groups(viewer)["duplicate"].severity == "error"
    assert groups(viewer)["equal"].rows.tolist() == [1, 2]
    assert groups(viewer)["changed"].rows.tolist() == [0]


def test_odd_bytes_are_remarks_about_the_file():
    viewer = CacheViewer(CalibrationCache.from_bytes(b"\xef\xbb\xbfTRT-8601-EntropyCalibration2\r\nx: 3f800000\r\n"))
    texts = [text for _, text in viewer.facts.remarks]
    assert any("CR LF" in text for text in texts)
    assert any("byte order mark" in text for text in texts)
    assert [remark[1] for remark in viewer.table.summary["remarks"]] == texts


def test_against_the_model():
    rows = ["data: 3c008912", "conv1: 3c88edfc", "(Unnamed Layer* 1) [Constant]_output: 3f800000", "typo: 3f800000"]
    viewer = CacheViewer(cache(*rows), model=sample.model_path())
    found = groups(viewer)
    names = np.array(viewer.facts.names)
    assert names[found["unknown"].rows].tolist() == ["typo"]
    assert names[found["synthetic"].rows].tolist() == ["(Unnamed Layer* 1) [Constant]_output"]
    missing = names[found["missing"].rows].tolist()
    assert "pool1" in missing
    assert "conv1" not in missing
    assert "conv1.weight" not in missing, "weights are never in a cache"
    row = viewer.facts.names.index("pool1")
    assert viewer.binding.page(0)[row][3:6] == ["–", "–", "–"]
    assert "missing" in repr(viewer)


# ---- which TensorRT would take it ---------------------------------------------------------------------------------


def test_verdict_follows_version_and_calibrator():
    viewer = CacheViewer(cache("x: 3f800000"))
    assert viewer.table.version == "8.6.1"
    assert viewer.table.verdict["kind"] == "ok"
    viewer.table.version = "10.16.1"
    assert viewer.table.verdict["kind"] == "warning"
    viewer.table.version = "11.0.0"
    assert viewer.table.verdict["kind"] == "error"
    assert "Q/DQ" in viewer.table.verdict["text"]
    viewer.table.version = "8.6.1"
    viewer.table.algorithm = "MinMaxCalibration"
    assert viewer.table.verdict["kind"] == "warning"
    viewer.table.version = "eight"
    assert "'eight'" in viewer.table.verdict["text"]


def test_the_verdict_is_about_the_tensorrt_that_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="8.6.1"))
    file = CalibrationCache.build({"x": 1.0}, version="10.3.0")
    viewer = CacheViewer(file)
    assert viewer.table.version == "8.6.1"
    assert viewer.table.verdict["kind"] == "warning"
    assert "six digits (100300, TensorRT 10.3.0)" in viewer.table.verdict["text"]
    assert CacheViewer(file.with_header(version="8.6.1")).table.verdict["kind"] == "ok"


def test_files_without_a_header_have_no_verdict():
    viewer = CacheViewer(scales_from_bytes(b"x:1.0\n"))
    assert viewer.table.summary["has_header"] is False
    assert viewer.table.verdict["text"] == ""


# ---- difference ---------------------------------------------------------------------------------------------------


def test_difference():
    a = cache("same: 3f800000", "up: 3f800000", "gone: 3f800000", "down: 3f800000")
    b = cache("new: 3f800000", "down: 3e800000", "up: 40000000", "same: 3f800000")
    viewer = CacheViewer(a, b)
    names = np.array(viewer.facts.names)
    assert names.tolist() == ["same", "up", "gone", "down", "new"]
    found = {key: names[group.rows].tolist() for key, group in groups(viewer).items()}
    assert found == {"changed": ["up", "down"], "only-a": ["gone"], "only-b": ["new"], "equal": ["same"]}
    np.testing.assert_array_equal(viewer.facts.ratio, [1.0, 2.0, np.nan, 0.25, np.nan])
    viewer.table.group, viewer.table.sort, viewer.table.descending = "changed", "ratio", True
    assert shown(viewer) == ["down", "up"], "a quarter is a larger change than a double"
    viewer.select(1)
    assert ["B / A", "2.0"] in viewer.table.detail["numbers"]


def test_difference_agrees_with_the_core():
    from trtcal_widgets.formats.cache import diff

    a = read_scale_file(shared_path("data/caches/yolo11.TRT-101200.cache"))
    b = read_scale_file(shared_path("data/caches/yolov8.TRT-101401.cache"))
    viewer, expected = CacheViewer(a, b), diff(a, b)
    names = np.array(viewer.facts.names)
    found = groups(viewer)
    assert names[found["changed"].rows].tolist() == [change.name for change in expected.changed]
    assert names[found["only-a"].rows].tolist() == list(expected.only_in_a)
    assert names[found["only-b"].rows].tolist() == list(expected.only_in_b)
    np.testing.assert_array_equal(viewer.facts.ratio[found["changed"].rows], [c.ratio for c in expected.changed])


# ---- search, filter, sort -----------------------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.text("aAbB/.1é", min_size=1, max_size=6), st.floats(0, 2.0**90, width=32), min_size=1, max_size=30
    ),
    st.text("ab /", max_size=4),
    st.sampled_from(["file", "name", "amax"]),
    st.booleans(),
)
def test_arrange_is_a_plain_filter_and_a_plain_sort(scales, search, sort, descending):
    facts = read_facts(CalibrationCache.build(scales))
    order = arrange(facts, search=search, sort=sort, descending=descending).tolist()
    words = search.casefold().split()
    names = [name.casefold() for name in facts.names]
    assert sorted(order) == [i for i, name in enumerate(names) if all(word in name for word in words)]
    key = {"file": range(len(names)), "name": names, "amax": facts.mine.amax}[sort]
    found = [key[i] for i in order]
    assert found == sorted(found, reverse=descending)


def test_rows_without_a_number_come_last_in_both_directions():
    facts = read_facts(cache("a: 3f800000", "b: 40000000"), cache("c: 3f800000"))
    for descending in (False, True):
        assert arrange(facts, sort="amax", descending=descending).tolist()[-1] == 2


def test_unknown_orders_and_groups():
    facts = read_facts(cache("a: 3f800000"))
    with pytest.raises(UsageError, match="sorted by"):
        arrange(facts, sort="other")
    with pytest.raises(UsageError, match="kind"):
        arrange(facts, group="zero")


def test_the_browser_gets_pages_of_the_present_order_only():
    viewer = CacheViewer(cache(*(f"t{i}: {0x3F800000 + i:x}" for i in range(250))))
    generation = viewer.table.view["generation"]
    (answer,) = ask(viewer, type="rows", generation=generation, page=2)
    assert [row[2] for row in answer["rows"]] == [f"t{i}" for i in range(200, 250)]
    viewer.table.search = "t24"
    assert ask(viewer, type="rows", generation=generation, page=0) == []
    assert viewer.table.view["generation"] > generation
    assert viewer.table.view["count_text"] == "11 of 250 rows"


def test_a_search_takes_patterns_and_says_what_is_none():
    viewer = CacheViewer(cache(*(f"layer{i}.weight: {0x3F800000 + i:x}" for i in range(12))))

    def shown(search):
        viewer.table.search = search
        return [row[2].split(".")[0] for row in viewer.table.view["rows"]]

    assert shown("layer1*") == ["layer1", "layer10", "layer11"]
    assert shown("re:[02]\\.") == ["layer0", "layer2", "layer10"]
    assert shown("weight ER11") == ["layer11"]
    assert shown("re:layer(") == []
    assert viewer.table.view["empty"].startswith("Not a regular expression: ")
    assert shown("layer(") == []
    assert viewer.table.view["empty"] == "No row fits the search and the filter."


def test_moving_with_the_keyboard_follows_the_order():
    viewer = CacheViewer(cache(*(f"t{i}: {0x3F800000 + i:x}" for i in range(5))))
    viewer.table.descending = True
    generation = viewer.table.view["generation"]
    ask(viewer, type="move", to=1, generation=generation)
    assert viewer.table.detail["name"] == "t3"
    assert viewer.table.selected_at == 1
    ask(viewer, type="move", to=99, generation=generation)
    assert viewer.table.detail["name"] == "t0"
    ask(viewer, type="move", to=-3, generation=generation)
    assert viewer.table.detail["name"] == "t4"
    viewer.table.search = "nothing"
    ask(viewer, type="move", to=0, generation=viewer.table.view["generation"])
    assert viewer.table.selected_at == -1


@pytest.mark.parametrize(
    "message", [None, {"type": "rows"}, {"type": "rows", "generation": 1, "page": "0"}, {"type": "move", "to": 1.5}]
)
def test_rubbish_from_the_page_is_not_answered_and_changes_nothing(message):
    viewer = CacheViewer(cache("x: 3f800000"))
    screen = viewer.binding.screen
    with patch.object(viewer.table, "send", autospec=True) as send:
        viewer.table._handle_custom_msg(message, [])
    assert not send.called
    assert viewer.binding.screen is screen


def test_a_group_that_does_not_exist_is_said_and_the_viewer_lives_on():
    viewer = CacheViewer(cache("x: 3f800000", "y: 0"))
    viewer.table.group = "nonsense"
    assert "no rows of the kind 'nonsense'" in viewer.table.view["count_text"]
    viewer.table.group = "zero"
    assert shown(viewer) == ["y"]
    assert viewer.table.view["count_text"] == "1 of 2 rows"


def test_a_closed_viewer_draws_nothing_more():
    viewer = CacheViewer(cache("x: 3f800000", "y: 0"))
    view = viewer.table.view
    viewer.close()
    viewer.table.search = "x"
    assert viewer.table.view == view


def test_a_row_that_is_not_there_is_no_row():
    viewer = CacheViewer(cache("x: 3f800000"))
    viewer.select(0)
    viewer.select(7)
    assert viewer.table.selected == -1
    assert viewer.table.detail == {}


# ---- names --------------------------------------------------------------------------------------------------------

EVIL = ["<script>alert(1)</script>", "<b>x</b>&amp;%{y}", "a: b", "'\"`", "\x1b[31mred", "\u202egnp.exe", "層/0"]


def test_names_are_text_everywhere():
    viewer = CacheViewer(CalibrationCache.build(dict.fromkeys(EVIL, 1.0)))
    names = shown(viewer)
    assert names[:4] == EVIL[:4], "the table's cells are filled with textContent"
    assert not any(not name.isprintable() for name in names)
    texts = list(viewer.ranges.figure.data[0].text)
    assert not any("<script" in text or "<b>" in text for text in texts), "Plotly reads tags"
    assert "&lt;script&gt;" in texts[0]
    assert "&amp;amp;" in texts[1]


def test_bytes_that_are_no_text_reach_the_browser():
    viewer = CacheViewer(CalibrationCache.from_bytes(HEADER.encode() + b"caf\xe9: 3f800000\n"))
    viewer.select(0)
    json.dumps(viewer.table.get_state()).encode()
    assert json.dumps(viewer.table.get_state(), ensure_ascii=False).encode(), "a lone surrogate has no UTF-8"
    assert groups(viewer)["non-utf8"].rows.tolist() == [0]


# ---- the plot -----------------------------------------------------------------------------------------------------


def test_points_are_the_rows_and_what_has_no_place_stands_at_the_edge():
    viewer = CacheViewer(cache("a: 3c000000", "z: 0", "i: 7f800000", "n: bf800000", "b: 3d000000"))
    inside, beyond = viewer.ranges.figure.data[:2]
    assert list(inside.x) == [1, 5]
    np.testing.assert_allclose(inside.y, [127 / 128, 127 / 32])
    assert list(beyond.x) == [2, 3, 4]
    low, high = (10**power for power in viewer.ranges.figure.layout.yaxis.range)
    np.testing.assert_allclose(beyond.y, [low, high, low])
    assert list(beyond.marker.symbol) == ["triangle-down", "triangle-up", "triangle-down"]


def test_a_constant_far_away_does_not_flatten_the_others():
    viewer = CacheViewer(cache("a: 3f800000", "b: 3f900000", "c: 3f880000", "mask: 7e800000"))
    assert viewer.ranges.figure.layout.yaxis.range[1] < 12
    assert list(viewer.ranges.figure.data[1].x) == [4]


def test_nothing_to_draw():
    viewer = CacheViewer(cache("a: 0", "b: 7f800000"))
    assert list(viewer.ranges.figure.data[0].x) == []


def test_click_selects_and_selection_is_ringed():
    from plotly.callbacks import InputDeviceState, Points

    viewer = CacheViewer(cache("z: 0", "a: 3f800000", "b: 40000000"))
    trace = viewer.ranges.figure.data[0]
    trace._dispatch_on_click(Points([1], [3], [254.0], trace_name="", trace_index=0), InputDeviceState())
    assert viewer.table.selected == 2
    assert viewer.table.detail["name"] == "b"
    ring = viewer.ranges.figure.data[-1]
    assert (list(ring.x), list(ring.y)) == ([3], [254.0])
    viewer.table.selected = -1
    assert list(ring.x) == []


def test_colours_follow_the_theme():
    viewer = CacheViewer(cache("a: 3f800000"), cache("a: 3f800000"))
    figure = viewer.ranges.figure
    light = [trace.marker.color for trace in figure.data] + [figure.layout.font.color]
    viewer.table.theme = "dark"
    dark = [trace.marker.color for trace in figure.data] + [figure.layout.font.color]
    assert all(a != b for a, b in zip(light, dark, strict=True))


def test_zooming_in_draws_the_rows_that_were_thinned_out():
    n = 4 * MAX_POINTS
    viewer = CacheViewer(cache(*(f"t{i}: {0x3F800000 + i:x}" for i in range(n))))
    figure = viewer.ranges.figure
    assert len(figure.data[0].x) <= MAX_POINTS
    assert "zoom in" in figure.layout.xaxis.title.text
    figure.layout.xaxis.range = [1000, 1500]
    assert list(figure.data[0].x) == list(range(1000, 1501))
    assert "zoom in" not in figure.layout.xaxis.title.text


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=200), st.integers(1, 40))
def test_thinning_keeps_the_outline(values, half):
    values = np.array(values)
    kept = thin_out(np.arange(len(values)), values, limit=2 * half)
    assert len(kept) <= max(2 * half, 1)
    assert (np.diff(kept) > 0).all()
    assert values[kept].min() == values.min()
    assert values[kept].max() == values.max()
    if len(values) <= 2 * half:
        assert len(kept) == len(values)


# ---- size, and where no widget can live ---------------------------------------------------------------------------


def test_what_a_large_file_sends_does_not_grow_with_it():
    rng = np.random.default_rng(1)
    scales = np.exp(rng.normal(size=100_000)).astype(np.float32).view(np.uint32)
    viewer = CacheViewer(cache(*(f"/model.{i % 50}/layer{i}/Conv_output_0: {bits:x}" for i, bits in enumerate(scales))))
    assert len(json.dumps(viewer.table.get_state(drop_defaults=True), default=str)) < 60_000
    assert len(viewer.ranges.figure.to_json()) < 800_000
    viewer.table.search = "layer9999"
    assert viewer.table.view["total"] == 11


def test_a_picture_goes_along():
    viewer = CacheViewer(cache("a: 3f800000"))
    bundle = viewer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert picture.width == 1000
    assert bundle["text/plain"].startswith("CacheViewer: ")


# ---- does it fit the model, and what has changed ------------------------------------------------------------------


@pytest.fixture(scope="module")
def lenet():
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=1) as session:
        session.run()
        yield session


def _verdict(file, **options):
    viewer = CacheViewer(file, **options)
    viewer.table.set_state({"version": ".".join(map(str, file.version)), "algorithm": file.algorithm})
    return viewer.table.verdict


def test_a_cache_is_green_only_where_its_rows_are_the_models(lenet):
    own = lenet.to_cache(version="8.6.1")
    assert _verdict(own, model=lenet)["kind"] == "ok"
    unchecked = _verdict(own)
    assert unchecked["kind"] == "ok"
    assert "give model=" in unchecked["text"]
    lacking = _verdict(own.without(["ip1"]), model=lenet)
    assert lacking["kind"] == "warning"
    assert "1 tensor of lenet.onnx" in lacking["text"]
    one_more = _verdict(own.with_scales({"nobody": 0.5}, add_missing=True), model=lenet)
    assert one_more["kind"] == "warning"
    other = _verdict(cache(*(f"layer{k}: 3c008912" for k in range(9))), model=lenet)
    assert other["kind"] == "error"
    assert "another model: 9 of its 9 rows are not of lenet.onnx" in other["text"]


def test_numbers_of_another_network_are_not_green_either(lenet):
    rows = [f"(Unnamed Layer* {k}) [Constant]_output: 3c008912" for k in range(40, 60)]
    assert _verdict(cache(*rows), model=lenet)["kind"] == "error"


def test_changed_rows_look_changed_and_near_ones_say_how_near():
    a = cache("same: 3c008912", "near: 3c008912", "nearer down: 3c008912", "far: 3c008912", "gone: 3c008912")
    b = cache("same: 3c008912", "near: 3c008915", "nearer down: 3c008911", "far: 3c808912", "new: 3c008912")
    viewer = CacheViewer(a, other=b)
    seen = {row[2]: row[9:] for row in viewer.binding.page(0)}
    assert seen == {
        "same": ["=", ""],
        "near": ["+3 ulp", "changed"],
        "nearer down": ["\u22121 ulp", "changed"],
        "far": ["2.00", "changed"],
        "gone": ["–", "only-a"],
        "new": ["–", "only-b"],
    }
    viewer.select(1)
    assert ["B \u2212 A", "+3 ulp"] in viewer.table.detail["numbers"]


def test_constants_of_two_tensorrts_are_one_row(tmp_path):
    model = sum_with_constant(tmp_path / "m.onnx")
    with CalibrationSession(model, np.ones((4, 8), np.float32), batch_size=2) as session:
        session.run()
        old, new = session.to_cache(version="8.6.1"), session.to_cache(version="10.3.0")
        assert set(old.scales) != set(new.scales), "or nothing is tested"
        for a, b in ((old, new), (new, old)):
            viewer = CacheViewer(a, other=b, model=session)
            assert not {"only-a", "only-b", "changed"} & groups(viewer).keys()
            text = " ".join(note for notes in viewer.facts.notes.values() for note in notes)
            assert "B has it as" in text
        apart = CacheViewer(old, other=new)
        assert {"only-a", "only-b"} <= groups(apart).keys(), "without the model nobody knows"


def sum_with_constant(path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    constant = numpy_helper.from_array(np.linspace(0.5, 2, 8, dtype=np.float32), "offset")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "offset"], ["y"]), helper.make_node("Relu", ["y"], ["out"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 8])],
        [constant],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path
