"""Hook of mkdocs: a built site loads nothing from elsewhere, and documents every public name; or the build fails."""

from __future__ import annotations

import re
import zlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

# What a browser fetches by itself, unlike a link that a reader follows.
LOADS = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\bsrc=["']?(?:https?:)?//[^"'\s>]*"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|icon|preconnect|prefetch))[^>]*?\bhref=["']?(?:https?:)?//[^"'\s>]*"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//[^"'\s)]*"""
    r"""|url\(\s*["']?(?:https?:)?//[^"'\s)]*""",
    re.IGNORECASE,
)
# The theme's script would fetch its polyfills and the drawing of diagrams from a CDN, which no page has.
SCRIPT_ADDRESSES = re.compile(r"https://(?:unpkg\.com|api\.github\.com|gitlab\.com|cdn\.[\w.]+)[\w./@-]*")


def on_post_build(*, config: MkDocsConfig) -> None:
    """Take addresses of CDNs out of the theme's scripts, then look for what a page would still load."""
    from mkdocs.exceptions import PluginError

    site = Path(config.site_dir)
    for script in (site / "assets").rglob("*.js"):
        text = script.read_text("utf-8").rpartition("\n//# sourceMappingURL=")
        script.write_text(SCRIPT_ADDRESSES.sub("", text[0] or text[2]), "utf-8")
    for source_map in (site / "assets").rglob("*.map"):
        source_map.unlink()
    if found := loads(site):
        raise PluginError("The site would load from elsewhere:\n" + "\n".join(found))
    if missing := undocumented(site, Path(config.docs_dir) / "reference"):
        raise PluginError("Public names that no page of docs/reference documents:\n" + "\n".join(missing))


def loads(site: Path) -> list[str]:
    """Return what the pages, style sheets and scripts of a built site would load from other hosts."""
    found = []
    for path in sorted(site.rglob("*")):
        if path.suffix in {".html", ".css", ".svg", ".js"}:
            text = path.read_text("utf-8")
            marks = SCRIPT_ADDRESSES.findall(text) if path.suffix == ".js" else LOADS.findall(text)
            found += [f"{path.relative_to(site)}: {mark}" for mark in marks]
    return found


def undocumented(site: Path, reference: Path) -> list[str]:
    """Return the names in ``__all__`` of the modules of the reference that the built site does not describe."""
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    described = {line.split(" ")[0] for line in zlib.decompress(inventory).decode("utf-8").splitlines()}
    modules = [name for page in sorted(reference.glob("*.md")) for name in named_modules(page)]
    names = [f"{module}.{name}" for module in modules for name in getattr(imported(module), "__all__", ())]
    return [name for name in names if name not in described]


def named_modules(page: Path) -> list[str]:
    """Return what a page has documented: the names behind its ``:::``."""
    return re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE)


def imported(name: str) -> object:
    """Return a module, or a name of one."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(import_module(module), attribute)
