"""Put the tables of benchmarks/results into the README, between ``<!-- results: NAME -->`` and ``<!-- end -->`` lines.

python tools/write_readme_results.py [--check]
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"<!-- results: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(text: str) -> str:
    """Return the README's text with the newest results."""

    def block(found: re.Match[str]) -> str:
        result = (ROOT / "benchmarks" / "results" / f"{found[1]}.md").read_text("utf-8").strip()
        return f"<!-- results: {found[1]} -->\n{result}\n<!-- end -->"

    return BLOCK.sub(block, text)


if __name__ == "__main__":
    old = README.read_text("utf-8")
    new = filled(old)
    if "--check" in sys.argv:
        sys.exit("README.md does not hold the results in benchmarks/results" if new != old else 0)
    README.write_text(new, "utf-8")
