from __future__ import annotations

import pytest

from tests.widgets.reports import made_up_report
from tests.widgets.synthetic import synthetic_session
from trtcal_widgets.widgets.explorer import CalibrationExplorer
from trtcal_widgets.widgets.kit.boundary import SameThreadExecutor


@pytest.fixture
def make_explorer():
    made = []

    def make(session=None, **options):
        session = session or synthetic_session(12, batches=4)
        explorer = CalibrationExplorer(session, executor=options.pop("executor", SameThreadExecutor()), **options)
        made.append((explorer, session))
        return explorer

    yield make
    for explorer, session in made:
        explorer.close()
        session.close()


@pytest.fixture
def examining(monkeypatch):
    """Examinations that are made up; what they were asked for."""
    asked = []

    def examine(session, **options):
        asked.append(options)
        return made_up_report(session, **options)

    monkeypatch.setattr("trtcal_widgets.widgets.data.widget.examine", examine)
    return asked


@pytest.fixture
def explorer(make_explorer):
    explorer = make_explorer()
    explorer.session.step()
    explorer.session.step()
    return explorer
