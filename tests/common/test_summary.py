"""Reports on the last line of a cell: a table of text, whatever the names are."""

from __future__ import annotations

import math
from html.parser import HTMLParser

import pytest

from trtcal_widgets import CalibrationCache
from trtcal_widgets.common.summary import MOST_ROWS
from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.debug.search import SearchResult, SearchStep
from trtcal_widgets.debug.tuning.results import TunePoint, TuneResult
from trtcal_widgets.doctor.types import DataReport, DataWarning, Verdict
from trtcal_widgets.export.port.scales import PortedRow, PortReport, PortResult
from trtcal_widgets.export.qdq.report import QdqReport, QuantizedTensor
from trtcal_widgets.formats.compare import diff
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.runners.evaluation import Score
from trtcal_widgets.trt.check.report import CheckProblem, CheckReport, LayerVerdict
from trtcal_widgets.trt.comparing import EngineComparison

HOSTILE = "</td><script>alert(1)</script>|x$$\x1b[31m\u202e`*_"
MANY = [f"{HOSTILE}{k}" for k in range(MOST_ROWS + 3)]


def search(met=True):
    steps = tuple(SearchStep(f"keep {name}", Score(9, top1=0.7), accepted=k % 2 == 0) for k, name in enumerate(MANY))
    plan = PrecisionPlan(keep=(HOSTILE,), amax={HOSTILE: 0.5})
    after = Score(9, top1=0.9 if met else 0.2)
    return SearchResult(plan, Score(9, top1=0.91), Score(9, top1=0.4), after, 0.89, steps)


def ported():
    rows = tuple(PortedRow(name, name, 0.5, "name") for name in MANY)
    return PortReport(HOSTILE, "new.onnx", rows, (), (HOSTILE,))


def compared():
    tensors = {name: TensorComparison.of([1.0, 2.0], [1.0, 2.0 + 0.01 * k]) for k, name in enumerate(MANY)}
    return EngineComparison(tensors, (MANY[0],), Score(9, top1=0.9), Score(9, top1=0.8), n_batches=3)


def quantized():
    made = [QuantizedTensor(n, n, n, 0.5, -1, 1, (n,), is_weight=False, source=n) for n in MANY]
    return QdqReport(HOSTILE, "recommended", 11, 13, 20, 20, 0, tuple(made), notes=(HOSTILE,))


def checked(*, refused):
    problems = (CheckProblem("parse", HOSTILE, "Conv", HOSTILE, HOSTILE),) if refused else ()
    layers = () if refused else tuple(LayerVerdict(n, n, "int8", "fp32", n, n, ()) for n in MANY)
    return CheckReport(
        HOSTILE, "TensorRT 10", "SM89", {}, not refused, not refused, 1.0, problems=problems, verdicts=layers
    )


def examined():
    warnings = tuple(DataWarning("k", "likely", "sure", name, name, name) for name in MANY)
    verdict = Verdict(None, HOSTILE, HOSTILE, HOSTILE)
    return DataReport(verdict, (), warnings, HOSTILE, (0,), 9, 0.5, 9, 0, "one-pass")


def tuned():
    points = tuple(
        TunePoint(name, "explicit", Score(9, top1=0.9 - 0.01 * k), 1.0 + k, PrecisionPlan(), k)
        for k, name in enumerate(MANY)
    )
    return TuneResult(points, (), "a GPU", Score(9, top1=0.91))


def caches():
    one, other = (dict.fromkeys(MANY, 0.5 * k) for k in (1, 2))
    return diff(CalibrationCache.build(one), CalibrationCache.build(other))


REPORTS = {
    "search": (search, ["top-1", "is met", "1 layer and changes 1 scale"]),
    "search in vain": (lambda: search(met=False), ["is not met"]),
    "port": (ported, ["13 tensors", "1 tensor of the new model without a row"]),
    "port result": (lambda: PortResult(None, ported()), ["13 tensors"]),
    "engine": (compared, ["Engine against FP32, 9 samples", "top-1: FP32 0.9000, engine 0.8000"]),
    "qdq": (quantized, ["13 activations", "placement recommended"]),
    "check": (lambda: checked(refused=False), ["builds", "FP32"]),
    "refused": (lambda: checked(refused=True), ["does not parse"]),
    "data": (examined, ["9 samples of calibration data"]),
    "tune": (tuned, ["measured on a GPU", "1.000"]),
    "caches": (caches, ["0 equal, 13 changed"]),
}


class Tags(HTMLParser):
    """The tags of a page, and the text that is not in any of them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("which", REPORTS)
def test_a_report_is_a_table_of_text(which):
    make, words = REPORTS[which]
    report = make()
    page = Tags(report._repr_html_())
    assert page.tags <= {"div", "p", "br", "strong", "table", "thead", "tbody", "tr", "th", "td", "code"}
    assert "table" in page.tags
    for part in words:
        assert part in page.text
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text
    if which != "refused":
        assert "3 more in ." in page.text
        assert page.text.count("alert(1)") <= 6 * MOST_ROWS + 6
    told = report._repr_markdown_()
    assert "<script" not in told
    assert "\x1b" not in told


def test_a_variant_that_was_not_measured_has_no_time():
    points = (TunePoint("all", "explicit", Score(9, top1=0.9), math.nan, PrecisionPlan(), 3),)
    shown = Tags(TuneResult(points, (), "", Score(9, top1=0.91))._repr_html_()).text
    assert "nan" not in shown
    assert "no GPU: accuracy only, simulated" in shown
