"""The hooks with which the documentation site is built: what loads from elsewhere is found, links keep their target."""

from __future__ import annotations

import json

import pytest

from tools.site.check import SCRIPT_ADDRESSES, loads, named_modules
from tools.site.formulas import spaced
from tools.site.pages import linked, notebook_text, page_of, resolved
from tools.site.pictures import enlarged
from tools.site.roles import linked as with_roles_linked
from tools.site.tables import with_bars


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script async src="https://cdn.example/x.js"></script>'),
        ("a.html", "<img alt=x src=//images.example/x.png>"),
        ("a.html", '<link href="https://fonts.example/css?family=X" rel="stylesheet">'),
        ("a.html", '<link rel=preconnect href="https://fonts.example">'),
        ("a.css", "@import url(https://fonts.example/x.css);"),
        ("a.css", "p { background: url('//images.example/x.png') }"),
        ("a.js", 'load("https://unpkg.com/mermaid@11/dist/mermaid.min.js")'),
    ],
)
def test_what_a_browser_would_fetch_is_found(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert len(loads(tmp_path)) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.html",
            '<a href="https://docs.nvidia.com/">NVIDIA</a> <img src="images/x.png"> <script src="x.js"></script>',
        ),
        ("a.html", '<link rel="canonical" href="https://docs.example/"><link rel="stylesheet" href="site.css">'),
        ("a.css", "@import 'more.css'; p { background: url(data:image/png;base64,x) }"),
    ],
)
def test_links_and_files_of_the_site_are_no_fetches(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert loads(tmp_path) == []


def test_addresses_in_the_theme_s_scripts_are_taken_out():
    assert SCRIPT_ADDRESSES.sub("", 'a("https://unpkg.com/mermaid@11/dist/x.js")') == 'a("")'


def test_a_link_leads_to_the_page_that_is_made_of_the_file():
    assert resolved("docs/many-machines.md", "../benchmarks/results/scaling.md") == "benchmarks/results/scaling.md"
    assert page_of("benchmarks/results/scaling.md") == "measured/scaling.md"
    assert page_of("README.md") == "index.md"
    assert page_of("docs/howto/yolo.md") == "howto/yolo.md"
    assert page_of("docs/make_pictures.py") == "source/docs/make_pictures.py.md"
    assert page_of("notebooks/03_tensorrt.ipynb") == "notebooks/03_tensorrt.md"
    assert page_of("trtcal_widgets/trt/log.py") == "source/trtcal_widgets/trt/log.py.md"


def test_links_in_code_are_no_links():
    text = "[a](a.md) [b](b.md#there) [c](https://c.example)\n```python\nx[0](d.md)\n```\n[e](#here)"
    assert linked("docs/start.md", text) == ["docs/a.md", "docs/b.md"]


def test_a_notebook_becomes_a_page_of_its_cells():
    cells = [("markdown", "# Title"), ("code", "x = 1"), ("code", "  "), ("markdown", "*words*")]
    text = json.dumps({"cells": [{"cell_type": kind, "source": [source]} for kind, source in cells]})
    page = notebook_text("notebooks/x.ipynb", text)
    assert page.startswith("# Title\n\n")
    assert page.count("```") == 2
    assert "x = 1" in page
    assert page.endswith("*words*\n\n")


def test_a_logarithm_does_not_run_into_its_neighbours():
    thin = '<mspace width="0.17em"/>'
    assert spaced("<mi>h</mi><mi>ln</mi><mi>h</mi>") == f"<mi>h</mi>{thin}<mi>ln</mi>{thin}<mi>h</mi>"
    base_10 = "<msub><mi>log</mi><mrow><mn>10</mn></mrow></msub>"
    assert spaced(f"<mn>10</mn>{base_10}<mi>x</mi>") == f"<mn>10</mn>{thin}{base_10}{thin}<mi>x</mi>"


def test_a_bar_in_the_code_of_a_cell_has_no_backslash():
    cell = '<td style="text-align: left;">a\\|b <code>--last drop\\|pad</code></td>'
    assert with_bars(f"{cell}<code>c\\|d</code>") == (
        f"{cell.replace('drop' + chr(92) + '|', 'drop|')}<code>c\\|d</code>"
    )


def test_a_picture_leads_to_itself_in_its_own_size():
    dark = '<img alt="x" src="images/a-dark.webp#gh-dark-mode-only" />'
    linked_already, drawing = '<a href="b"><img src="b.png"></a>', '<img src="c.svg">'
    assert enlarged(f"<p>{dark}{linked_already}{drawing}</p>") == (
        f'<p><a href="images/a-dark.webp">{dark}</a>{linked_already}{drawing}</p>'
    )


def test_modules_are_named_by_colons(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n::: a.b\n\ntext ::: c\n\n::: d\n")
    assert named_modules(page) == ["a.b", "d"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (":meth:<code>update</code>", "<code>update</code>"),
        (":exc:<code>~a.b.SomeError</code>", "<code>SomeError</code>"),
        (
            ":class:<code>~trtcal_widgets.data.Batch</code>",
            '<autoref identifier="trtcal_widgets.data.Batch" optional hover><code>Batch</code></autoref>',
        ),
        (
            ":meth:<code>Histogram.of\n&lt;trtcal_widgets.core.Histogram.of&gt;</code>",
            '<autoref identifier="trtcal_widgets.core.Histogram.of" optional hover><code>Histogram.of</code></autoref>',
        ),
        ("a :<code>b</code> and 10:<code>c</code>", "a :<code>b</code> and 10:<code>c</code>"),
    ],
)
def test_roles_of_docstrings_become_code(text, shown):
    assert with_roles_linked(text) == shown
