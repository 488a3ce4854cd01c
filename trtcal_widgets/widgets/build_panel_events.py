"""What the build panel's front end may say."""

from __future__ import annotations

from trtcal_widgets.widgets.events import event_parser

__all__ = ["parse_event"]

_FORM: dict[str, type] = {
    "mode": str, "algorithm": str, "follow": str, "fp16": bool, "hold": bool, "path": str, "cache": str,
}  # fmt: skip

parse_event = event_parser(
    {
        **{name: {} for name in ("pause", "resume", "step", "cancel", "dismiss", "look")},
        "set": _FORM,
        "build": {**_FORM, "replace": bool},
        "severity": {"least": str},
        "write": {"kind": str, "replace": bool},
    }
)
