"""Hook of mkdocs: pages from files outside docs/, and links to them.

The pages in docs/ are read on GitHub, too, so their links are paths in the repository. On the site the README is the
home, the changelog, the notebooks and the measurements are pages of their own, and any other file that a page links to
is shown as text under source/.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
CODE = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
LANGUAGES = {".py": "python", ".md": "md", ".json": "json", ".toml": "toml", ".yml": "yaml", ".yaml": "yaml"}
MADE = ("index.md", "changelog.md", "notebooks/", "measured/", "source/")
HOMES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from files outside docs/, and what they link to."""
    from mkdocs.structure.files import File

    waiting = [*HOMES, *(f"notebooks/{path.name}" for path in sorted((ROOT / "notebooks").glob("*.ipynb")))]
    for file in files.documentation_pages():
        waiting += linked(f"docs/{file.src_uri}", file.content_string)
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or not page_of(path).startswith(MADE) or not (ROOT / path).exists():
            continue
        seen.add(path)
        content = text_of(path)
        if (ROOT / path).suffix in {".md", ".ipynb"}:
            waiting += linked(path, content)
        files.append(File.generated(config, page_of(path), content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make links to paths of the repository links to pages of the site."""
    del config
    origins = {page_of(path): path for path in [*HOMES, *repository_paths(files)]}
    origin = origins.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    if page.file.src_uri.startswith("source/"):
        return markdown
    here = PurePosixPath(page.file.src_uri).parent

    def link(found: re.Match[str]) -> str:
        path, _, anchor = found[2].partition("#")
        if "://" in found[2] or found[2].startswith("mailto:") or not path:
            return found[0]
        target = page_of(resolved(origin, path))
        return f"{found[1]}{os.path.relpath(target, here)}{'#' + anchor if anchor else ''}{found[3]}"

    parts = CODE.split(markdown)
    parts[::2] = [LINK.sub(link, part) for part in parts[::2]]
    return "".join(parts)


def linked(origin: str, text: str) -> list[str]:
    """Return the repository's paths to which a page's links lead."""
    prose = "".join(CODE.split(text)[::2])
    targets = [found[2].partition("#")[0] for found in LINK.finditer(prose) if "://" not in found[2]]
    return [resolved(origin, target) for target in targets if target]


def resolved(origin: str, target: str) -> str:
    """Return a link's path from the top of the repository."""
    return os.path.normpath(PurePosixPath(origin).parent / target)


def repository_paths(files: Files) -> list[str]:
    """Return the paths of which pages were made that are told by their names."""
    names = {file.src_uri for file in files}
    measured = [f"benchmarks/results/{Path(name).name}" for name in names if name.startswith("measured/")]
    return measured + [name.replace(".md", ".ipynb") for name in names if name.startswith("notebooks/")]


def page_of(path: str) -> str:
    """Return the site's file for a path of the repository."""
    if path in HOMES:
        return HOMES[path]
    if path.startswith("docs/") and not path.endswith(".py"):
        return path.removeprefix("docs/")
    if path.startswith("benchmarks/results/") and path.endswith(".md"):
        return "measured/" + Path(path).name
    if path.endswith(".ipynb"):
        return path.replace(".ipynb", ".md")
    return f"source/{path}.md"


def text_of(path: str) -> str:
    """Return the page that is made of a file or a folder."""
    place = ROOT / path
    if place.is_dir():
        names = sorted(f"{child.name}/" if child.is_dir() else child.name for child in place.iterdir())
        return "\n".join([f"# {path}/", "", *(f"- `{name}`" for name in names if not name.startswith(("_", ".")))])
    text = place.read_text("utf-8")
    if place.suffix == ".ipynb":
        return notebook_text(path, text)
    if page_of(path).startswith("source/"):
        fence = "`" * (max([3, *map(len, re.findall("`{3,}", text))]) + 1)
        return f"# {path}\n\n{fence}{LANGUAGES.get(place.suffix, 'text')}\n{text}\n{fence}\n"
    return text if text.startswith("# ") else f"# Measured: {place.stem.replace('_', ' ')}\n\n{text}"


def notebook_text(path: str, text: str) -> str:
    """Return a notebook's cells as a page."""
    cells = json.loads(text)["cells"]
    blocks = [
        f"```python\n{''.join(cell['source'])}\n```" if cell["cell_type"] == "code" else "".join(cell["source"])
        for cell in cells
        if "".join(cell["source"]).strip()
    ]
    return "\n\n".join([blocks[0], f"The code of the notebook `{path}`, which shows the screens.", *blocks[1:], ""])
