"""A session as a DataFrame, and what a notebook shows of sessions, files and results: text, whatever the names are."""

from __future__ import annotations

import builtins
import math
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.widgets.synthetic import synthetic_session
from trtcal_widgets.errors import MissingDependencyError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.reading import scales_from_bytes
from trtcal_widgets.report import ReportSection

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a|b`c*d_e[f](javascript:alert(1))",
    "$\\frac{1}{2}$ &lt;b&gt;",
    "__init__ ~~x~~ https://example.com www.example.com",
    "line\nbreak\u202eright to left\x1b[31m",
    "# heading",
    "層/卷积:0",
)
MADE = {"div", "p", "strong", "br", "table", "thead", "tbody", "tr", "th", "td", "code"}


class Seen(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.words = set(), set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(key for key, _ in attrs)

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def session():
    with synthetic_session(names=list(HOSTILE), batches=2) as session:
        session.run()
        session.choose(HOSTILE[3], amax=1.5)
        yield session


def assert_is_text(shown):
    seen = Seen(shown._repr_html_())
    assert seen.tags <= MADE
    assert seen.attributes <= {"class", "style", "title"}
    markdown = shown._repr_markdown_()
    for line in markdown.splitlines():
        rest = line.replace("**", "").strip("|")
        assert not set(rest) & set("<>`*_[]()$~\\\"'!=.:"), line
    return seen.words, markdown


def test_names_are_text_wherever_they_are_shown(session):
    words, markdown = assert_is_text(session)
    assert any("<script>alert(1)</script>" in word for word in words)
    assert "&#60;script&#62;" in markdown
    assert_is_text(session.to_cache(rows=[HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[3]]))
    assert_is_text(ReportSection("a <b>", ("x",), (("<i>y</i>",), (0.5,), (math.nan,)), "in*tro*", ("<n>",), "a\nb"))


def test_a_table_beside_a_cache_is_shown_too():
    assert_is_text(scales_from_bytes(b"<b>x</b>: 1.5\n<i>y</i>: 2.5\n", kind="ranges"))
    words, _ = assert_is_text(CalibrationCache.build({f"t{k}": 0.5 for k in range(30)}))
    assert any("20 more rows" in word for word in words)


def test_a_session_says_where_it_stands_before_the_first_batch_and_after():
    with synthetic_session(20) as session:
        assert "0 of 4 batches counted" in session._repr_html_()
        assert "<table>" not in session._repr_html_()
        session.run()
        page = session._repr_html_()
        assert page.count("<tr>") == 11
        assert "10 more tensors" in page


def test_a_frame_has_a_row_per_tensor_with_its_numbers(session):
    pd = pytest.importorskip("pandas")
    frame = session.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.index) == list(session.tensors)
    assert frame.index.name == "tensor"
    row = frame.loc[HOSTILE[3]]
    assert (row["amax"], row["mine"], row["method"]) == (1.5, True, "mine")
    cache = session.to_cache(rows=[name for name in session.tensors if "\n" not in name])
    for name in cache.scales:
        assert frame.loc[name, "hex"] == cache.hex(name)
        assert frame.loc[name, "scale"] == cache.scales[name]
    assert frame["sqnr_db"].dtype == np.float64
    assert frame["minimum"].min() == min(row.minimum for row in session.table())


def test_a_frame_before_any_batch_has_no_numbers():
    pytest.importorskip("pandas")
    with synthetic_session(3) as session:
        frame = session.to_frame()
        assert frame["amax"].isna().all()
        assert (frame["hex"] == "").all()


def test_without_pandas_it_is_said_what_to_install(session, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "pandas":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"pip install 'trtcal_widgets\[pandas\]'"):
        session.to_frame()


def test_a_session_of_one_tensor_and_one_batch_is_counted_as_such():
    with synthetic_session(1, batches=1) as session:
        session.run()
        assert ": 1 tensor, 1 of 1 batch counted>" in repr(session)
        assert "1 of 1 batch counted" in session._repr_html_()
    with synthetic_session(2, batches=2) as session:
        assert ": 2 tensors, 0 of 2 batches counted>" in repr(session)
