"""What the explorer's front end may say."""

from __future__ import annotations

from trtcal_widgets.widgets.events import event_parser

__all__ = ["parse_event"]

_EXPORT: dict[str, type] = {"algorithm": str, "version": str, "rows": str, "path": str}

parse_event = event_parser(
    {
        **{
            name: {}
            for name in (
                "first", "back", "play", "forward", "last", "cancel",
                "undo", "redo", "reset", "reset_all", "dismiss",
            )
        },
        "seek": {"position": int},
        "exclude": {"batch": int},
        "include": {"batch": int},
        "select": {"index": int},
        "select_name": {"name": str},
        "choose": ({"method": str}, {"amax": str}),
        "choose_all": {"method": str},
        "counts": {"scale": str},
        "export_set": _EXPORT,
        "export_write": {**_EXPORT, "replace": bool},
        "export_preview": {"open": bool},
    }
)  # fmt: skip
