"""One arena of device memory for several sessions of ONNX Runtime.

Each session has an arena of its own, which keeps what it once had: sessions that run one after the other would have the
sum of it. ONNX Runtime lets sessions share an allocator that is registered with its environment.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from types import MappingProxyType
from typing import Any

from trtcal_widgets.model.ort import CUDA, SILENT, open_session

_BY_POWERS_OF_TWO = 0
"""How the arena grows: few large regions, of which pieces of any sizes are made, need no giving back between pieces."""


class SharedArena:
    """The arena of a device, made once for the process; :func:`shared_arena` returns it.

    ``config``: session options with which a session uses it.
    """

    config = MappingProxyType({"session.use_env_allocators": "1"})

    def __init__(self, device: int) -> None:
        from onnxruntime.capi import onnxruntime_pybind11_state as ort

        info = ort.OrtMemoryInfo("Cuda", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, device, ort.OrtMemType.DEFAULT)
        how = ort.OrtArenaCfg(0, _BY_POWERS_OF_TWO, -1, -1)
        ort.create_and_register_allocator_v2(CUDA, info, {"device_id": str(device)}, how)
        self._device = device
        self._smallest: Any = None

    def shrink(self) -> None:
        """Give back to the device what nobody uses, which ONNX Runtime does at the end of a run that asks for it.

        Where it does not, or the device is so full that not even this runs, the arena keeps it for the next pieces.
        """
        import numpy as np
        import onnxruntime as ort

        how = ort.RunOptions()
        how.log_severity_level = SILENT
        how.add_run_config_entry("memory.enable_memory_arena_shrinkage", f"gpu:{self._device}")
        with suppress(Exception):  # ONNX Runtime's have no common base
            if self._smallest is None:
                self._smallest = _smallest(self._device)
            self._smallest.run(None, {"x": np.zeros(1, np.float32)}, how)


@cache
def shared_arena(device: int) -> SharedArena | None:
    """Return the arena that sessions on a device can share; None where this ONNX Runtime makes none."""
    try:
        return SharedArena(device)
    except Exception:  # noqa: BLE001 - older releases have no such function, others refuse: it goes without
        return None


def _smallest(device: int) -> Any:
    """Return a session that does next to nothing in the shared arena."""
    from pathlib import Path

    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "smallest", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    return open_session(
        model.SerializeToString(),
        Path(),
        name="the smallest model",
        providers=[(CUDA, {"device_id": str(device)})],
        config=SharedArena.config,
    )
