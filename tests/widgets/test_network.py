"""What is shown around a tensor: by facts of the graph alone."""

from __future__ import annotations

import json

import pytest

from tests.support.models import ocr_model
from tests.widgets import networks
from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.load import load_graph
from trtcal_widgets.widgets.explorer import CalibrationExplorer
from trtcal_widgets.widgets.kit.boundary import SameThreadExecutor
from trtcal_widgets.widgets.kit.network import MOST, BoxFacts, level_of, neighbourhood, network_state, rows_of


def state_of(graph, chosen):
    return network_state(graph, chosen, lambda _name: BoxFacts())


def test_three_steps_to_either_side_and_no_weights():
    near = neighbourhood(networks.residual(), "c2")
    assert near.tensors == ("x0", "c1", "r1", "c2", "s1", "x1", "c3", "p4")
    assert ("x0", "s1") in near.edges, "the shortcut"
    assert ("x0", "c1") in near.edges
    assert near.cuts == ()
    assert near.hidden["x0"] == (1, 0)
    assert near.hidden["c3"] == (0, 1)
    assert near.hidden["c2"] == (0, 0)


def test_a_join_is_shown_with_all_that_it_joins():
    near = neighbourhood(networks.inception(), "branch4/out")
    assert {f"branch{k}/out" for k in range(8)} <= set(near.tensors)
    assert "branch0/conv0" not in near.tensors
    assert near.hidden["branch0/out"] == (1, 0)


def test_of_many_readers_a_few_are_shown_and_the_others_counted():
    near = neighbourhood(networks.fan(44), "embedding")
    assert len(near.tensors) == 2 + MOST - 1
    (cut,) = near.cuts
    assert (len(cut.names), cut.at, cut.before) == (37, ("embedding",), False)
    assert near.hidden["embedding"] == (0, 0), "those in a cut are counted there"
    assert state_of(networks.fan(44), "embedding")["cuts"][0]["text"] == "and 37 more"
    exactly = neighbourhood(networks.fan(MOST), "embedding")
    assert exactly.cuts == ()
    assert len(exactly.tensors) == 2 + MOST
    # seen from one of the readers, the others are none of its neighbours
    assert neighbourhood(networks.fan(44), "block7/scale").tensors == ("condition", "embedding", "block7/scale")


def test_shared_scales_have_a_letter_and_what_has_no_scale_is_marked():
    boxes = {b["name"]: b for b in state_of(networks.inception(), "pool")["boxes"]}
    assert boxes["stem"]["letter"] == boxes["pool"]["letter"] == "A"
    assert boxes["joined"]["letter"] == ""
    boxes = {b["name"]: b for b in state_of(networks.detector(), "p3/box")["boxes"]}
    assert not boxes["p3/shape"]["scale"]
    assert not boxes["p3/shape"]["selectable"]
    assert "not calibrated" in boxes["p3/shape"]["title"]
    assert boxes["p3/box/flat"]["scale"]


def test_a_weight_that_is_chosen_is_drawn_with_its_reader():
    near = neighbourhood(networks.residual(), "w2")
    assert ("w2", "c2") in near.edges
    assert near.hidden["w2"] == (0, 0)
    with pytest.raises(ModelError, match="no tensor"):
        neighbourhood(networks.residual(), "nowhere")


def test_names_are_text_and_the_state_is_json():
    graph = networks.long(3000)
    assert networks.HOSTILE in graph.tensors
    state = state_of(graph, networks.HOSTILE)
    json.dumps(state, allow_nan=False)
    box = state["boxes"][state["chosen"]]
    assert box["name"] == networks.HOSTILE, "what is sent back is the name itself"
    assert "\n" not in box["shown"]
    assert "\u202e" not in box["shown"]


@pytest.mark.parametrize(
    ("sqnr", "level"), [(float("nan"), ""), (19.9, "bad"), (20, "poor"), (40, "good"), (float("inf"), "good")]
)
def test_levels(sqnr, level):
    assert level_of(sqnr) == level


@pytest.mark.parametrize("which", ["det", "rec", "cls"])
def test_every_tensor_of_real_models_has_a_picture(which):
    graph = load_graph(ocr_model(which))
    for name in graph.tensors:
        state = state_of(graph, name)
        n = len(state["boxes"])
        assert state["boxes"][state["chosen"]]["name"] == name
        assert all(0 <= i < n for edge in state["edges"] for i in edge)
        # all hang together: nobody stands in the picture for no reason
        seen, front = {state["chosen"]}, [state["chosen"]]
        while front:
            at = front.pop()
            for edge in state["edges"]:
                for a, b in (edge, edge[::-1]):
                    if a == at and b not in seen:
                        seen.add(b)
                        front.append(b)
        assert len(seen) == n


def test_in_the_explorer_it_follows_the_chosen_tensor_and_a_click_walks():
    session = networks.session_of(networks.inception())
    explorer = CalibrationExplorer(session, executor=SameThreadExecutor())
    panel = explorer.views.network
    assert panel.state["boxes"][panel.state["chosen"]]["name"] == session.state.selected
    assert all(box["value"] == "" for box in panel.state["boxes"])
    session.run()
    assert all(box["value"].startswith("±") and box["level"] for box in panel.state["boxes"])
    panel._handle_custom_msg({"type": "select_name", "name": "joined"}, [])
    assert session.state.selected == "joined"
    chosen = panel.state["boxes"][panel.state["chosen"]]
    assert chosen["name"] == "joined"
    session.choose("joined", amax=2.5)
    assert panel.state["boxes"][panel.state["chosen"]]["value"] == "±2.50"
    explorer.close()
    session.close()


def test_the_height_of_the_picture_is_the_networks_and_not_the_tensors():
    assert rows_of(networks.graph_of([("Relu", ["a"], ["b"]), ("Conv", ["b", "w"], ["c"])], weights=["w"])) == 2
    assert rows_of(networks.residual()) == 4
    assert rows_of(networks.fan(300)) == rows_of(networks.inception()) == MOST
    assert state_of(networks.residual(), "c2")["rows"] == MOST, "unless a screen says how much there is"
