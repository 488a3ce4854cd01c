"""How many bytes travel to the browser: of a state, and of what a change sends."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Traffic", "count_traffic", "state_bytes"]

_CODE = frozenset({"_esm", "_css"})


def state_bytes(widget: Any) -> int:
    """Return the size of a widget's data as they travel, in bytes: JSON and binary buffers, without scripts."""
    from ipywidgets.widgets.widget import _remove_buffers

    state = {key: value for key, value in widget.get_state().items() if key not in _CODE}
    return _size(*_remove_buffers(state)[::2])


@dataclass
class Traffic:
    """Messages that were sent to the browser, and their size in bytes."""

    messages: int = 0
    bytes: int = 0


@contextmanager
def count_traffic() -> Iterator[Traffic]:
    """Count what all widgets send while the block runs."""
    import ipywidgets

    traffic = Traffic()
    send = ipywidgets.Widget._send  # the one place that every message passes

    def counted(self: Any, msg: Any, buffers: Any = None) -> None:
        traffic.messages += 1
        traffic.bytes += _size(msg, buffers or [])
        send(self, msg, buffers=buffers)

    with mock.patch.object(ipywidgets.Widget, "_send", counted):
        yield traffic


def _size(message: Any, buffers: Any) -> int:
    return len(json.dumps(message, default=str).encode()) + sum(memoryview(b).nbytes for b in buffers)
