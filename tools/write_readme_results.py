"""Put the tables of benchmarks/results into pages, between ``<!-- results: NAME -->`` and ``<!-- end -->`` lines.

The pages are the README and docs/measurements.md.

python tools/write_readme_results.py [--check]
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "measurements.md")
BLOCK = re.compile(r"<!-- results: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(text: str) -> str:
    """Return a page's text with the newest results."""

    def block(found: re.Match[str]) -> str:
        result = (ROOT / "benchmarks" / "results" / f"{found[1]}.md").read_text("utf-8").strip()
        return f"<!-- results: {found[1]} -->\n{result}\n<!-- end -->"

    return BLOCK.sub(block, text)


if __name__ == "__main__":
    old = {page: page.read_text("utf-8") for page in PAGES}
    if "--check" in sys.argv:
        stale = [page.name for page in PAGES if filled(old[page]) != old[page]]
        sys.exit(f"{', '.join(stale)}: not the results in benchmarks/results" if stale else 0)
    for page in PAGES:
        page.write_text(filled(old[page]), "utf-8")
