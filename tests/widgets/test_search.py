"""What the kernel finds is what the browser finds: the cases of ``frontend/search.test.mjs``."""

from __future__ import annotations

import pytest

from trtcal_widgets.widgets.kit.search import search_for

NAMES = [
    "/model.0/conv/Conv_output_0",
    "/model.10/conv/Conv_output_0",
    "backbone.layer1.weight",
    "backbone.layer12.bias",
    "a[0](b)",
    "input*",
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("  ", NAMES),
        ("MODEL.0/", NAMES[:1]),
        ("a[0](b)", ["a[0](b)"]),
        ("/conv/", NAMES[:2]),
        ("layer1.", ["backbone.layer1.weight"]),
        ("conv /model.10", NAMES[1:2]),
        ("backbone.*", NAMES[2:4]),
        ("*.bias", ["backbone.layer12.bias"]),
        ("layer1*", []),
        ("/model.?/*", NAMES[:1]),
        ("a[?](*)", ["a[0](b)"]),
        ("re:layer\\d\\.", ["backbone.layer1.weight"]),
        ("/^backbone.+s$/", ["backbone.layer12.bias"]),
        ("RE:^/MODEL", NAMES[:2]),
    ],
)
def test_words_patterns_and_expressions(text, found):
    search = search_for(text)
    assert [name for name in NAMES if search.fits(name)] == found
    assert search.error == ""


@pytest.mark.parametrize("text", ["re:conv(", "/[a/", "re:*", "re:a{99999999999999999999}"])
def test_what_is_no_expression_is_said(text):
    search = search_for(text)
    assert not any(map(search.fits, NAMES))
    assert search.error.startswith("Not a regular expression: ")
