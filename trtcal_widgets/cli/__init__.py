# PYTHON_ARGCOMPLETE_OK
"""The ``trtcal`` command: the same code as the notebook, without a notebook."""

from __future__ import annotations

from trtcal_widgets.cli.app import main

__all__ = ["main"]
