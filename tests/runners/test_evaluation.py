"""Scores: top-1 and top-5 against a plain count, the user's own measure, and labels that do not fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trtcal_widgets import sample
from trtcal_widgets.data import ArrayBatches
from trtcal_widgets.data.base import Batch
from trtcal_widgets.errors import EvaluationError, UsageError
from trtcal_widgets.runners.evaluation import Evaluation, Score, Scorer


def scorer_of(labels, **options):
    data = np.zeros((len(labels), 2), np.float32)
    return Scorer(Evaluation(ArrayBatches(data), batch_size=3, labels=labels, **options))


def add(scorer, scores, first=0, reference=None):
    outputs = {"scores": np.asarray(scores, np.float32)}
    batch = Batch(0, {"": np.zeros((len(scores), 2), np.float32)}, first, len(scores))
    scorer.add(outputs, outputs if reference is None else {"scores": reference}, batch)


@settings(max_examples=50)
@given(seed=st.integers(0, 1000), classes=st.integers(1, 12), n=st.integers(1, 30))
def test_top1_and_top5_are_what_sorting_says(seed, classes, n):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, (n, classes)).astype(np.float32)  # ties happen
    labels = rng.integers(0, classes, n)
    order = np.argsort(-scores, axis=1, kind="stable")
    scorer = scorer_of(labels)
    add(scorer, scores)
    result = scorer.result()
    assert result.top1 == np.mean(order[:, 0] == labels)
    assert result.top5 == np.mean([label in row[:5] for label, row in zip(labels, order, strict=True)])
    assert result.measure == "top-1"


def test_batches_add_up_and_padding_is_not_counted():
    scorer = scorer_of([0, 1, 1, 0])
    add(scorer, [[9, 1], [9, 1], [1, 9]])
    padded = {"scores": np.array([[9, 1], [0, 9], [0, 9]], np.float32)}
    scorer.add(padded, padded, Batch(1, {}, 3, 1))
    assert (scorer.result().n_samples, scorer.result().top1) == (4, 0.75)


def test_nan_scores_are_no_hits():
    scorer = scorer_of([0, 1])
    add(scorer, [[np.nan, np.nan], [np.nan, 1]])
    assert scorer.result().top1 == 0.5


def test_without_labels_the_cosine_of_the_outputs_decides():
    scorer = Scorer(Evaluation(ArrayBatches(np.zeros((4, 2), np.float32)), batch_size=2))
    add(scorer, [[1.0, 0.0], [0.0, 2.0]], reference=np.array([[1.0, 0.0], [0.0, 1.0]], np.float32))
    result = scorer.result()
    assert result.measure == "output cosine"
    assert result.value == pytest.approx((1 + 2) / np.sqrt(5) / np.sqrt(2))
    assert math.isnan(result.top1)


def test_a_measure_of_ones_own_is_averaged_over_samples():
    scorer = scorer_of([0, 0, 0, 0], evaluate=lambda outputs, batch: float(outputs["scores"].max()))
    add(scorer, [[1, 0], [3, 0], [2, 0]])
    scorer.add(
        {"scores": np.full((1, 2), 7, np.float32)}, {"scores": np.full((1, 2), 7, np.float32)}, Batch(1, {}, 3, 1)
    )
    assert scorer.result().custom == (3 * 3 + 7) / 4
    assert scorer.result().value == 4.0


def test_an_evaluate_that_raises_is_shown_with_its_traceback():
    def evaluate(_outputs, _batch):
        raise ZeroDivisionError("of mine")

    scorer = scorer_of([0, 1], evaluate=evaluate)
    with pytest.raises(EvaluationError, match=r"(?s)batch 0.*Traceback.*evaluate.*ZeroDivisionError: of mine"):
        add(scorer, [[1, 0], [0, 1]])
    with pytest.raises(UsageError, match="must return a number"):
        add(scorer_of([0, 1], evaluate=lambda o, b: "good"), [[1, 0], [0, 1]])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2], "3 labels for 4 samples"),
        ([[0], [1], [2], [3]], "shape"),
        ([0.5, 1, 2, 3], "whole numbers"),
        ([], "labels is empty"),  # an empty file is a mistake, not a wish to compare without labels
    ],
)
def test_labels_that_do_not_fit_the_data_are_refused_at_once(labels, message):
    with pytest.raises(EvaluationError, match=message):
        Evaluation(ArrayBatches(np.zeros((4, 2), np.float32)), batch_size=2, labels=labels)


def test_labels_that_do_not_fit_the_classes_are_refused():
    with pytest.raises(EvaluationError, match="labels go from 0 to 5, but the output has 2 classes"):
        add(scorer_of([0, 5]), [[1, 0], [0, 1]])
    with pytest.raises(EvaluationError, match="judge by a function of your own"):
        add(scorer_of([0, 1]), np.zeros((2, 3, 4)))
    two = {"boxes": np.zeros((2, 3, 4), np.float32), "scores": np.zeros((2, 2), np.float32)}
    with pytest.raises(EvaluationError, match=r"output= \('scores'\), or judge"):
        scorer_of([0, 1]).add(two, two, Batch(0, {"": np.zeros((2, 2), np.float32)}, 0, 2))
    with pytest.raises(EvaluationError, match="no output 'logits'"):
        add(scorer_of([0, 1], output="logits"), [[1, 0], [0, 1]])


def test_images_with_labels_bring_them_along():
    evaluation = Evaluation(sample.test_images(), batch_size=100)
    assert evaluation.has_labels
    assert len(evaluation.labels) == 1000
    assert "1,000" in evaluation.describe() or "1000" in evaluation.describe()


def test_a_perfect_score_has_a_value_of_its_measure():
    assert Score(1, top1=0.5, custom=2.0).value == 2.0
