"""The report: one file, safe whatever the names are, the same bytes for the same input, readable without scripts."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import shutil
from datetime import datetime, timezone
from html.parser import HTMLParser
from types import MappingProxyType

import numpy as np
import pytest

from tests.support.models import ocr_model
from tests.support.toy import ToyRunner
from tests.widgets.synthetic import synthetic_session
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.data import ArrayBatches
from trtcal_widgets.debug.hazards import Hazard, find_hazards
from trtcal_widgets.debug.results import ComparisonResult, LayerResult, TensorResult
from trtcal_widgets.debug.search import SearchResult, SearchStep
from trtcal_widgets.errors import ExportError, UsageError
from trtcal_widgets.model.graph import ModelGraph, NodeInfo, TensorInfo, TensorKind
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.report import ReportSection, render_report, write_report
from trtcal_widgets.report.sections import Name
from trtcal_widgets.runners.evaluation import Score

DATE = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)
HOSTILE = (
    "<script>alert(1)</script>",
    '"quotes\' & "><img src=x onerror=alert(1)>',
    "line\nbreak </title></style>",
    "\u202egnp.exe \u05d0\u05d1\u05d2",
    "&lt;b&gt; javascript:alert(1)",
)
RNG = np.random.default_rng(7)


class Page(HTMLParser):
    """What a browser would see: elements with attributes, text, and whether every element was closed in order."""

    VOID = frozenset({"meta", "path", "line", "rect", "circle", "br"})

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.text = []
        self.stack = []
        self.raw = {"style": [], "script": []}
        self.feed(text)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] in self.raw:
            self.raw[self.stack[-1]].append(data)
        else:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


class HostileRunner(ToyRunner):
    """The toy, whose input is not called x."""

    def infer(self, feeds):
        arrays = super().infer(feeds)
        return ((name, array) for name, (_, array) in zip(self.graph.tensors, arrays, strict=True))


def hostile_session():
    """Run a toy whose tensors and nodes have the worst names, as a model file may."""
    tensors = [TensorInfo(HOSTILE[0], TensorKind.INPUT, "float32", ("N", HOSTILE[1]), -1, (0,))]
    nodes = []
    for i, name in enumerate(HOSTILE[1:]):
        nodes.append(NodeInfo(i, f"node {name}", "Relu", "", (tensors[-1].name,), (name,)))
        tensors.append(TensorInfo(name, TensorKind.ACTIVATION, "float32", ("N\u202e", "<4>"), i, (i + 1,), i == 3))
    tensors[-1] = TensorInfo(HOSTILE[-1], TensorKind.ACTIVATION, "float32", ("N", 4), 3, (), is_output=True)
    graph = ModelGraph(
        "</h1><script>alert(2)</script>.onnx",
        "0" * 64,
        17,
        MappingProxyType({t.name: t for t in tensors}),
        tuple(nodes),
    )
    data = RNG.standard_normal((80, 4)).astype(np.float32)
    data[3, 2] = 40.0
    session = CalibrationSession(HostileRunner(graph), ArrayBatches(data), batch_size=8)
    session.run()
    session.choose(HOSTILE[2], amax=1.5)
    return session


@pytest.fixture(scope="module")
def lenet():
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as session:
        session.run()
        session.exclude(3)
        session.choose("conv2", amax=3.3)
        session.choose("ip1", method="minmax")
        yield session


def compared(noise):
    a = np.linspace(-1, 1, 400, dtype=np.float32)
    return TensorComparison.of(a, a + noise * RNG.standard_normal(400).astype(np.float32))


def scores():
    nan = float("nan")
    return (
        Score(1000, 0.9890, 0.9998, nan, compared(0.0)),
        Score(1000, 0.9720, 0.9990, nan, compared(0.05)),
        Score(1000, 0.9885, 0.9996, nan, compared(0.01)),
    )


def comparison(session):
    rows = [row for row in session.table() if row.kind == "activation"]
    results = {
        r.name: TensorResult(
            r.name, r.op_type, r.name, compared(0.001 * 2 ** (k % 30)),
            session.histogram(r.name), session.histogram(r.name), r.amax, k % 2 == 0,
        )
        for k, r in enumerate(rows)
    }  # fmt: skip
    return ComparisonResult(results, *scores()[:2])


def everything(session):
    score = scores()[1]
    ranking = [
        LayerResult(n.name, n.op_type, n.outputs[0], compared(0.01), score, 0.001 * n.index)
        for n in session.graph.nodes
    ]
    plan = PrecisionPlan(
        keep=(session.graph.nodes[0].name,),
        amax={session.calibrated[1]: 3.25},
        reasons={session.graph.nodes[0].name: HOSTILE[0]},
    )
    return {"evaluation_result": comparison(session), "ranking": ranking, "plan": plan}


def test_everything_is_in_one_file_that_may_load_nothing(lenet):
    text = render_report(lenet, **everything(lenet), date=DATE)
    page = Page(text)
    for attributes in (attributes for _, attributes in page.elements):
        assert not {"src", "srcset", "data", "action", "style", "onclick", "onload"} & attributes.keys()
        assert attributes.get("href", "#").startswith("#")
    assert {tag for tag, _ in page.elements}.isdisjoint({"link", "iframe", "object", "embed", "base", "img"})
    (style,), (script,) = page.raw["style"], page.raw["script"]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    hashes = {f"sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}" for t in (style, script)}
    assert policy.startswith("default-src 'none'; ")
    assert set(re.findall(r"sha256-[^']+", policy)) == hashes


def test_links_inside_lead_somewhere(lenet):
    page = Page(render_report(lenet, **everything(lenet), date=DATE))
    anchors = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(anchors) == len(set(anchors))
    assert {a["href"][1:] for a in page.all("a")} == set(anchors)


def test_what_a_colleague_needs_is_said(lenet):
    text = " ".join(Page(render_report(lenet, **everything(lenet), date=DATE)).text)
    digest = hashlib.sha256(lenet.to_cache().to_bytes()).hexdigest()
    for wanted in (
        lenet.graph.sha256,
        digest,
        "TRT-101601-EntropyCalibration2",
        lenet.runner_name,
        "2026-01-02 03:04 UTC",
        "9 batches of 10 recorded",
        "number 4",  # the batch that was left out
        "session.exclude(3)",
        "session.choose('conv2', amax=3.3)",
        "session.choose('ip1', method='minmax')",
        "98.90",
        "97.20",
        "INT8 has 97.20 % of top-1, a loss of 1.70 pt: it misses the goal of 97.91 %",
        "stays in FP16",
    ):
        assert wanted in text, wanted


def test_the_lines_to_reproduce_make_the_same_cache(lenet, tmp_path, monkeypatch):
    page = html.unescape(render_report(lenet, date=DATE))
    code = re.search(r"(from trtcal_widgets import CalibrationSession.*?)</code>", page, re.DOTALL).group(1)
    code = code.replace("source = ...", "source = sample.calibration_images()").replace(
        "'lenet.onnx'", "sample.model_path()"
    )
    monkeypatch.chdir(tmp_path)
    exec(code, {"sample": sample})  # noqa: S102 - the report's own lines
    written = (tmp_path / "calibration.cache").read_bytes()
    assert written == lenet.to_cache().to_bytes()
    assert hashlib.sha256(written).hexdigest() in page


def test_same_input_same_bytes(lenet):
    given = everything(lenet)
    assert render_report(lenet, **given, date=DATE) == render_report(lenet, **given, date=DATE)


def test_names_are_text_wherever_they_stand():
    with hostile_session() as session:
        hazards = find_hazards(session)
        text = render_report(session, **everything(session), hazards=hazards, title=HOSTILE[0], date=DATE)
        calm = render_report(session, date=DATE)
    page = Page(text)
    assert len(page.all("script")) == len(page.all("style")) == len(page.all("title")) - _hover_titles(page) == 1
    assert not page.all("img")
    shown = "".join(page.text)
    assert "<script>alert(1)</script>" in shown
    assert "line\\nbreak </title></style>" in shown
    # The override is written out; Hebrew stays as it is and keeps its direction to itself.
    assert "\u202e" not in text
    assert "\\u202egnp.exe \u05d0\u05d1\u05d2" in shown
    assert {"bdi"} <= {tag for tag, _ in page.elements}
    Page(calm)


def _hover_titles(page):
    return sum(1 for tag, _ in page.elements if tag == "g")


def test_a_name_that_no_cache_can_hold_is_said_and_does_not_stop_the_report():
    with hostile_session() as session:
        with pytest.raises(ExportError):
            session.to_cache()
        shown = "".join(Page(render_report(session, date=DATE)).text)
    assert "none: " in shown


def test_numbers_are_those_of_the_session(lenet):
    page = render_report(lenet, date=DATE)
    row = lenet.row("conv1")
    cells = re.search(r'title="conv1">conv1</bdi>.*?</tr>', page, re.DOTALL).group(0)
    assert f'data-v="{row.sqnr_db!r}"' in cells
    assert f'data-v="{row.amax!r}"' in cells
    assert lenet.to_cache().hex("conv1") in cells


def test_the_worst_tensors_come_first_and_share_a_scale_once(lenet):
    page = render_report(lenet, n_worst=3, date=DATE)
    part = page[page.index('id="worst"') : page.index('id="histograms"')]
    named = re.findall(r'<bdi class="name" title="([^"]*)"', part)
    leaders = [r for r in lenet.table() if r.group[0] == r.name and r.name in lenet.calibrated]
    assert named == [r.name for r in sorted(leaders, key=lambda r: r.sqnr_db)[:3]]


def test_before_the_first_batch_the_report_says_so():
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as session:
        shown = "".join(Page(render_report(session, date=DATE)).text)
    assert "no batch is counted yet" in shown
    assert "so there are no scales to export: record one first" in shown


def test_scores_by_label_and_a_search(lenet):
    fp32, before, after = scores()
    labelled = {"FP32": fp32, "INT8": before, "ours": after}
    assert "98.9 → 98.85 %" in render_report(lenet, evaluation_result=labelled, date=DATE)
    plan = PrecisionPlan(keep=("conv1",), reasons={"conv1": "costs 1.5 points"})
    steps = (SearchStep("ip1 calibrated with minmax", before, False), SearchStep("conv1 kept in FP16", after, True))
    shown = "".join(
        Page(
            render_report(lenet, evaluation_result=SearchResult(plan, fp32, before, after, 0.98, steps), date=DATE)
        ).text
    )
    assert "conv1 kept in FP16" in shown
    assert "costs 1.5 points" in shown
    assert "was reached" in shown


def test_anybodys_table(lenet):
    class Own:
        def report_section(self):
            return ReportSection("Latency", ("engine", "ms"), ((Name("int8 <b>"), 1.25), ("fp\u202e16", float("nan"))))

    page = Page(render_report(lenet, sections=[Own()], date=DATE))
    shown = "".join(page.text)
    assert "Latency" in shown
    assert "int8 <b>" in shown
    assert "fp\\u202e16" in shown
    assert "1.25" in shown


def test_given_hazards_are_shown_as_they_are(lenet):
    hazard = Hazard("home-made", "severe", "measured", ("conv1",), (), "All is <lost>.", "Start again.")
    shown = "".join(Page(render_report(lenet, hazards=[hazard], date=DATE)).text)
    assert "All is <lost>." in shown
    assert "home-made" in shown
    assert "1 severe" in shown


@pytest.mark.parametrize(
    "bad",
    [
        {"evaluation_result": 3},
        {"evaluation_result": {"FP32": 0.9}},
        {"ranking": "conv1"},
        {"ranking": [1]},
        {"plan": {"keep": []}},
        {"sections": ["table"]},
        {"n_worst": 0},
    ],
)
def test_rubbish_is_refused_with_what_is_wanted(lenet, bad):
    with pytest.raises(UsageError, match=re.escape(next(iter(bad)).rstrip("s"))):
        render_report(lenet, **bad)


def test_rows_must_fit_their_columns():
    with pytest.raises(UsageError, match="2 cells for 1 columns"):
        ReportSection("bad", ("a",), (("1", "2"),))


def test_the_old_file_stays_where_the_new_one_cannot_be_written(lenet, tmp_path):
    with pytest.raises(ExportError, match="folder does not exist"):
        write_report(lenet, tmp_path / "nowhere" / "report.html")
    path = tmp_path / "report.html"
    write_report(lenet, path, date=DATE)
    before = path.read_bytes()
    assert before == render_report(lenet, date=DATE).encode()
    with pytest.raises(UsageError):
        write_report(lenet, path, plan=3)
    assert path.read_bytes() == before


def test_a_file_that_is_read_is_refused_before_the_page_is_made(tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("the page was made")

    shutil.copy(sample.model_path(), tmp_path / "m.onnx")
    before = (tmp_path / "m.onnx").read_bytes()
    session = CalibrationSession(tmp_path / "m.onnx", sample.calibration_images(), batch_size=50, max_batches=1)
    monkeypatch.setattr("trtcal_widgets.report.writing.render_report", never)
    with session, pytest.raises(ExportError, match="is a file that is read"):
        write_report(session, tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == before


def test_700_tensors_stay_below_3_megabytes():
    with synthetic_session(700) as session:
        session.run()
        text = render_report(session, evaluation_result=comparison(session), date=DATE)
    page = Page(text)
    assert len(text.encode()) < 3e6
    assert len(page.all("svg")) >= 14
    assert _hover_titles(page) == len(page.all("title")) - 1 >= 1390


@pytest.mark.models
def test_hundreds_of_tensors_stay_small(tmp_path):
    x = RNG.uniform(-1, 1, (2, 3, 96, 96)).astype(np.float32)
    with CalibrationSession(ocr_model("det"), x, batch_size=1) as session:
        session.run()
        write_report(session, tmp_path / "det.html")
        rows = len(session.calibrated)
    page = (tmp_path / "det.html").read_text("utf-8")
    assert rows > 400
    assert page.count("<tr>") > rows
    # 3 MB is the limit for 673 tensors.
    assert len(page) / rows < 3e6 / 673
