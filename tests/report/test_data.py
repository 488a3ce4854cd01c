"""The page about calibration data: from a report alone, safe whatever the names are, the same bytes each time."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from tests.report.test_report import HOSTILE, Page
from tests.widgets.reports import made_up_report
from tests.widgets.synthetic import synthetic_session
from trtcal_widgets.doctor.types import DataWarning
from trtcal_widgets.errors import ExportError, UsageError
from trtcal_widgets.report.data import render_data_report, write_data_report

DATE = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def report():
    with synthetic_session(20, batches=4) as session:
        session.run()
        return made_up_report(session)


def test_verdict_warnings_bands_and_every_tensor(report):
    page = Page(render_data_report(report, date=DATE))
    text = "".join(page.text)
    for line in report.verdict.lines:
        assert line in text
    for warning in report.warnings:
        assert warning.what in text
        assert warning.mend in text
    for found in report.tensors:
        assert found.name in text
    tags = [name for name, _ in page.elements]
    pictures = [a for name, a in page.elements if name == "svg"]
    assert len(pictures) == 12
    assert tags.count("tr") == 1 + len(report.tensors)


def test_the_worst_are_drawn(report):
    page = render_data_report(report, n_worst=2, date=DATE)
    assert page.count('class="card"') == 2
    worst = max(report.unsettled, key=lambda found: found.off_db)
    assert f"Thresholds of {worst.name}" in page


def test_the_same_report_makes_the_same_bytes_and_fetches_nothing(report):
    page = render_data_report(report, date=DATE)
    assert page == render_data_report(report, date=DATE)
    policies = [a["content"] for name, a in Page(page).elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies[0].startswith("default-src 'none'")
    assert "http" not in page.replace("http-equiv", "")


def test_names_are_text():
    with synthetic_session(names=["in", *HOSTILE], batches=3) as session:
        session.run()
        about = DataWarning("one-class", "severe", "certain", HOSTILE[0], HOSTILE[1], HOSTILE[2])
        page = Page(render_data_report(made_up_report(session, warnings=(about,)), title=HOSTILE[0], date=DATE))
    tags = {name for name, _ in page.elements}
    assert "img" not in tags
    assert [name for name, _ in page.elements].count("script") == 1
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)


def test_written_as_a_whole_or_not_at_all(report, tmp_path):
    write_data_report(report, tmp_path / "data.html", date=DATE)
    assert (tmp_path / "data.html").read_text("utf-8") == render_data_report(report, date=DATE)
    with pytest.raises(ExportError):
        write_data_report(report, tmp_path / "missing" / "data.html")


def test_arguments(report):
    with pytest.raises(UsageError, match="what examine"):
        render_data_report("report")
    with pytest.raises(UsageError, match="n_worst"):
        render_data_report(report, n_worst=0)
