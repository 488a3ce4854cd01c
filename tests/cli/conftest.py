from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from trtcal_widgets.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def trtcal(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run trtcal in this process."""

    def run(*argv: object) -> Result:
        code = main([str(argument) for argument in argv])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def command() -> list[str]:
    """The command line that runs trtcal as a program."""
    return [sys.executable, "-m", "trtcal_widgets"]


@pytest.fixture
def shell(command: list[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run trtcal as a program of its own."""

    def run(*argv: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *map(str, argv)],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=cwd,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
            timeout=120,
            check=False,
        )

    return run
