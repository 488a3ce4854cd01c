"""The explorer's tabs: the data doctor beside the calibration, made when it is first opened."""

from __future__ import annotations

import pytest

from tests.widgets.front_end import send
from trtcal_widgets import DataDoctor

pytestmark = pytest.mark.usefixtures("examining")


def is_away(page):
    return "tc-away" in page._dom_classes


def test_a_tab_is_made_when_it_is_first_opened(explorer, examining):
    assert explorer.tabs.strip.state == {"names": ["calibration", "data"], "shown": "calibration"}
    assert explorer.tabs.page("data") is None
    assert not examining
    send(explorer.tabs.strip, type="tab", name="data")
    doctor = explorer.tabs.page("data")
    assert isinstance(doctor, DataDoctor)
    assert doctor.session is explorer.session
    assert is_away(explorer.tabs.page("calibration"))
    assert not is_away(doctor)
    assert len(examining) == 1
    send(explorer.tabs.strip, type="tab", name="calibration")
    send(explorer.tabs.strip, type="tab", name="data")
    assert explorer.tabs.page("data") is doctor
    assert len(examining) == 1


def test_both_pages_show_one_session(explorer):
    send(explorer.tabs.strip, type="tab", name="data")
    doctor = explorer.tabs.page("data")
    send(doctor.views.samples, type="leave_out", sample=1)
    assert explorer.views.stepper.state["excluded"] == [1]
    send(explorer.views.tensors, type="select", index=4)
    assert doctor.views.tensors.selected == doctor.binding._parts.columns.index[explorer.session.state.selected]


def test_no_such_tab(explorer):
    send(explorer.tabs.strip, type="tab", name="weather")
    assert "there is no tab 'weather'" in explorer.views.shell.state["notice"]
    assert explorer.tabs.strip.state["shown"] == "calibration"


def test_closing_the_explorer_closes_its_tabs(make_explorer):
    explorer = make_explorer()
    explorer.session.step()
    send(explorer.tabs.strip, type="tab", name="data")
    doctor = explorer.tabs.page("data")
    renders = doctor.binding.renders
    explorer.close()
    explorer.session.step()
    assert doctor.binding.renders == renders
