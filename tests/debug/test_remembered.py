"""What a stopped search or tuning left is read with care: other JSON and damaged files say what they are."""

from __future__ import annotations

import json

import numpy as np
import pytest

from trtcal_widgets.cli.commands.debug import read_labels
from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.debug.remembered import plain_score, score_of
from trtcal_widgets.debug.tuning.journal import FORMAT, Journal
from trtcal_widgets.errors import SessionError, TrtcalError
from trtcal_widgets.runners.evaluation import Score

SCORE = Score(4, 0.5, 0.75, float("nan"), TensorComparison.of(np.arange(4, dtype=np.float32), np.ones(4, np.float32)))


def test_a_score_comes_back_as_it_was():
    found = score_of(json.loads(json.dumps(plain_score(SCORE))))
    assert vars(found.outputs) == vars(SCORE.outputs)
    assert (found.n_samples, found.top1, found.top5) == (4, 0.5, 0.75)
    assert np.isnan(found.custom)


@pytest.mark.parametrize(
    "change",
    [
        {"n_samples": -1},
        {"n_samples": 1.5},
        {"top1": "x"},
        {"top1": None},
        {"outputs": []},
        {"outputs": {"strange": 1}},
    ],
)
def test_other_parts_are_refused_when_they_are_read(change):
    with pytest.raises((TypeError, ValueError)):
        score_of({**plain_score(SCORE), **change})


JOURNAL = {"format": FORMAT, "subject": {"model": "x"}, "measured": {}, "scores": {}, "losses": {}}
DAMAGED = [
    "[" * 100_000,
    json.dumps({**JOURNAL, "losses": {"a": 10**400}}),
    json.dumps({**JOURNAL, "subject": 3}),
    json.dumps({**JOURNAL, "scores": {"a": {"n_samples": 1}}}),
    "\ud800".encode("utf-8", "surrogatepass"),
]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_journal_is_named(tmp_path, text):
    path = tmp_path / "j.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SessionError, match=r"j\.json is not the journal of a tuning"):
        Journal(path, {"model": "x"})


HEADER = b"{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999,), }".ljust(117) + b"\n"
HUGE = np.lib.format.magic(1, 0) + len(HEADER).to_bytes(2, "little") + HEADER
LABELS = {"a.npy": [b"", b"\x93NUMPY", HUGE, b"\x80\x04."], "a.txt": [b"\xff", b"9" * 400, b"1 two"]}


@pytest.mark.parametrize(("name", "data"), [(name, one) for name, many in LABELS.items() for one in many])
def test_damaged_labels_are_named(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(TrtcalError, match=name):
        read_labels(str(tmp_path / name))
