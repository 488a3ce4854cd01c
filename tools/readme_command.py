"""Print a command of the README, so that what CI runs is what the README says.

    python tools/readme_command.py demo|test

The command is the code block behind the line ``<!-- command: NAME -->``.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def command(name: str) -> str:
    """Return the command of that name."""
    block = re.search(rf"<!-- command: {re.escape(name)} -->\s*```\w*\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    if block is None:
        raise SystemExit(f"README.md has no block behind <!-- command: {name} -->")
    return block[1]


if __name__ == "__main__":
    print(command(*sys.argv[1:]), end="")
