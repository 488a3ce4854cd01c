"""TensorRT's timing cache: how fast each kernel was on this GPU, kept in a file from build to build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import is_folder
from trtcal_widgets.common.files import read_whole
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT = 1 << 30


def use_timing_cache(config: Any, path: Path) -> Any:
    """Let a builder configuration use the times in a file; return TensorRT's cache, which grows in the build.

    One that this TensorRT or GPU does not take (it logs why) is made anew.
    """
    there = is_folder(path, UsageError) is not None
    data = read_whole(path, error=UsageError, what="the timing cache", limit=_LIMIT) if there else b""
    timings = config.create_timing_cache(data)
    if timings is None or not config.set_timing_cache(timings, False):
        timings = config.create_timing_cache(b"")
        config.set_timing_cache(timings, False)
    return timings
