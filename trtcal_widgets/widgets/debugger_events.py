"""What the debugger's front end may say."""

from __future__ import annotations

from trtcal_widgets.widgets.events import event_parser

__all__ = ["parse_event"]

parse_event = event_parser(
    {
        **{name: {} for name in ("run", "cancel", "undo", "redo", "dismiss", "clear", "adopt", "try")},
        "auto": {"on": bool},
        "layer": {"index": int},
        "tensor": {"name": str},
        "keep": {"index": int, "on": bool},
        "use": {"method": str},
        "precision": {"precision": str},
        "find": {"target": str, "precision": str, "scales": bool},
        "export_kind": {"kind": str},
        "export_path": {"path": str},
        "export_write": {"path": str, "replace": bool},
    }
)
