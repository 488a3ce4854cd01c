"""The extension's readers, as built, in node."""

from __future__ import annotations

import json
import math
import os
import select
import shutil
import subprocess
from pathlib import Path

import pytest

import trtcal_widgets

BUILT = Path(trtcal_widgets.__file__).parent / "labextension"
MARK = "@number "


def node() -> str:
    """Path of node; skips without it, and fails in CI."""
    path = shutil.which("node")
    if path is None:
        reason = "node is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason + ", and in CI it must be there")
        pytest.skip(reason)
    return path


class RefusedError(Exception):
    """What a reader says about a file that it does not take."""


WAIT = 60.0
"""Seconds after which a reader goes round in circles: the slowest needs a tenth of that on a busy machine."""


class Readers:
    """A running node: one request, one answer."""

    def __init__(self) -> None:
        harness = Path(__file__).with_name("readers.mjs")
        self._process = subprocess.Popen(
            [node(), str(harness), str(BUILT / "static")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
        )  # fmt: skip

    def ask(self, op: str, **request):
        """Run one operation of readers.mjs; raises :class:`RefusedError`, and fails for any other error."""
        self._process.stdin.write(json.dumps({"op": op, **_marked(request)}) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], WAIT)[0]:
            self._process.kill()
            pytest.fail(f"{op} did not end")
        line = self._process.stdout.readline()
        assert line, "node ended"
        answer = _unmarked(json.loads(line))
        if "error" not in answer:
            return answer["value"]
        assert answer["refused"], answer["stack"]
        raise RefusedError(answer["error"])

    def refusal(self, op: str, **request) -> str:
        """Why an operation refuses; empty where it does not."""
        try:
            self.ask(op, **request)
        except RefusedError as refused:
            return str(refused)
        return ""

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


def _marked(value):
    if isinstance(value, float) and (not math.isfinite(value) or str(value) == "-0.0"):
        return MARK + {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(str(value), "-0.0")
    if isinstance(value, dict):
        return {key: _marked(inner) for key, inner in value.items()}
    return [_marked(inner) for inner in value] if isinstance(value, list) else value


def _unmarked(value):
    if isinstance(value, str) and value.startswith(MARK):
        return float(value[len(MARK) :])
    if isinstance(value, dict):
        return {key: _unmarked(inner) for key, inner in value.items()}
    return [_unmarked(inner) for inner in value] if isinstance(value, list) else value
