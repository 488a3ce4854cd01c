"""Constants that a model computes from other constants: computed once, apart from the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.model.ort import open_session
from trtcal_widgets.model.tap import as_float32_names, with_outputs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

    from trtcal_widgets.model.load import OnnxModel


def constant_values(model: OnnxModel) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Yield every float constant and weight as (name, array), in graph order.

    Stored ones are read one at a time; nothing that was yielded is kept.

    Raises ModelError if external data cannot be read, or ONNX Runtime cannot compute a computed one.
    """
    names = [t.name for t in model.graph.tensors.values() if t.is_float and t.is_fixed]
    computed = dict(computed_constants(model, [n for n in names if n not in model.constants]))
    for name in names:
        yield name, computed.pop(name) if name in computed else model.constants.read(name)


def computed_constants(model: OnnxModel, names: Iterable[str]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Compute constants that the file does not store, with ONNX Runtime on the CPU.

    ``names``: float constants or weights that nodes make of other constants; they come in this order, bfloat16 as
    float32.
    """
    wanted = list(names)
    if not wanted:
        return
    aliases = as_float32_names(model.graph, wanted)
    plain = [name for name in wanted if name not in aliases]
    data = with_outputs(_constant_part(model, wanted), plain, as_float32=aliases)
    session = open_session(data, model.path.parent, name=f"the constant part of {model.graph.name}")
    values = session.run([aliases.get(name, name) for name in wanted], {})
    values.reverse()
    for name in wanted:
        yield name, values.pop()


def _constant_part(model: OnnxModel, names: Iterable[str]) -> ModelProto:
    """Return the nodes and initialisers that the given constants are computed from, without outputs."""
    import onnx

    proto, graph = model.proto, model.graph
    needed: set[str] = set()
    stack = list(names)
    readers: dict[int, list[str]] = {}
    for tensor in graph.tensors.values():
        for index in tensor.consumers:  # what a node reads, captured by its subgraphs or not
            readers.setdefault(index, []).append(tensor.name)
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            producer = graph.tensor(name).producer
            stack.extend(readers.get(producer, ()) if producer >= 0 else ())
    part = onnx.ModelProto(ir_version=proto.ir_version)
    part.opset_import.extend(proto.opset_import)
    part.functions.extend(proto.functions)
    part.graph.name = "constants"
    part.graph.initializer.extend(t for t in proto.graph.initializer if t.name in needed)
    part.graph.sparse_initializer.extend(s for s in proto.graph.sparse_initializer if s.values.name in needed)
    if proto.ir_version < 4:  # there an initialiser must be listed as an input too
        part.graph.input.extend(i for i in proto.graph.input if i.name in needed)
    part.graph.node.extend(node for node in proto.graph.node if any(name in needed for name in node.output))
    return part
