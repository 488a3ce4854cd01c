"""A model in pieces that follow each other, cut where it suits the sizes of its tensors.

Each piece computes some nodes of the model from what those before it left; together they compute every node once, but
for what follows from constants alone, which each piece that needs it makes again. What is wanted of the model is an
output of the piece that makes it, and so is what later pieces read.
"""

from __future__ import annotations

import math
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from onnx import helper

from trtcal_widgets.model.inference import UNKNOWN, TensorType, infer_types, skeleton
from trtcal_widgets.model.partial import PartialModel, assemble
from trtcal_widgets.model.structure import read_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto, NodeProto, TensorProto

_FLOW = frozenset({f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}) | {
    "bool", "bfloat16", "float16", "float32", "float64",
}  # fmt: skip
"""Types of tensors that go from one piece to another; no cut is made where another (text, a sequence) would."""


class Piece(NamedTuple):
    """The needed nodes ``first`` to ``stop`` - 1 of a :class:`CutModel`."""

    first: int
    stop: int


class Sizes:
    """Types, shapes and bytes of the tensors of a model in a batch.

    ``known``: tensor -> what is inferred of it. Others are taken to be as large as the largest of these, until they are
    seen.
    """

    def __init__(self, known: Mapping[str, TensorType]) -> None:
        self._types = dict(known)
        self._bytes = {name: nbytes for name, found in known.items() if (nbytes := _nbytes(found)) is not None}
        self._largest = max(self._bytes.values(), default=1)
        self._changing: set[str] = set()

    def of(self, name: str) -> int:
        """Return a tensor's bytes."""
        return self._bytes.get(name, self._largest)

    def known(self, name: str) -> TensorType | None:
        """Return a tensor's type and shape; None where they are not known, or not the same in all batches."""
        return self._types[name] if name in self._bytes and name not in self._changing else None

    def dtype(self, name: str) -> str:
        """Return a tensor's element type; empty where it is not known."""
        return self._types[name].dtype if name in self._types else ""

    def learn(self, name: str, found: TensorType) -> bool:
        """Take note of a tensor that was seen; return whether its size was not known."""
        nbytes, is_new = _nbytes(found), name not in self._bytes
        if nbytes is not None and name not in self._changing:
            self._types[name], self._bytes[name] = found, nbytes
        return is_new

    def doubt(self, names: Iterable[str]) -> None:
        """Take no tensor of these for known any more."""
        self._changing.update(names)

    def total(self, names: Iterable[str]) -> int:
        """Return the bytes of several tensors."""
        return sum(map(self.of, names))


class CutModel:
    """A model that can be cut into pieces.

    ``proto``: the model, which belongs to this object from now on. ``wanted``: the tensors that pieces give.
    ``folder``: where external data lie. ``n_added``: how many nodes at the end were added to the model: each is moved
    to where all that it reads is made.
    """

    def __init__(self, proto: ModelProto, wanted: Iterable[str], folder: Path, *, n_added: int = 0) -> None:
        self.wanted = frozenset(wanted)
        self._folder = folder
        self._proto = proto
        _move_up(proto, n_added)
        self._dtypes = {name: found.dtype for name, found in infer_types(proto, folder).items()}
        self._read_graph()

    def _read_graph(self) -> None:
        """Find the nodes that are needed, where each tensor is made, and where it is read last."""
        graph = self._proto.graph
        constants = {tensor.name for tensor in graph.initializer}
        constants |= {sparse.values.name for sparse in graph.sparse_initializer}
        self._fed = {info.name for info in graph.input} - constants
        self._maker = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
        again = set()
        for i, node in enumerate(graph.node):
            fixed = node.op_type == "Constant" or (node.input and all(n in constants for n in read_names(node)))
            if fixed and self.wanted.isdisjoint(node.output):
                again.add(i)
                constants.update(name for name in node.output if name)
        self._stored = {tensor.name: _nbytes_stored(tensor) for tensor in graph.initializer}
        self._stored |= {sparse.values.name: _nbytes_stored(sparse.values) for sparse in graph.sparse_initializer}
        self._stored |= {
            node.output[0]: sum(
                _nbytes_stored(attribute.t) for attribute in node.attribute if attribute.name == "value"
            )
            for node in graph.node
            if node.op_type == "Constant" and node.output
        }
        needed, _ = self._upstream(self.wanted, lambda _: True)
        self._places = sorted(needed - again)
        self._made = {n: place for place, i in enumerate(self._places) for n in graph.node[i].output if n}
        self._last_read = {
            name: place
            for place, i in enumerate(self._places)
            for name in read_names(graph.node[i])
            if name in self._made or name in self._fed
        }

    def _upstream(self, names: Iterable[str], is_made: Callable[[str], bool]) -> tuple[set[int], list[str]]:
        """Return the nodes that make tensors, and the names that flow in: what is fed, or not made here."""
        nodes, found, inputs = self._proto.graph.node, set[int](), dict[str, None]()
        stack = list(names)
        while stack:
            name = stack.pop()
            made_by = self._maker.get(name)
            if name in self._fed or (made_by is not None and not is_made(name)):
                inputs[name] = None
            elif made_by is not None and made_by not in found:
                found.add(made_by)
                stack.extend(read_names(nodes[made_by]))
        return found, list(inputs)

    def __len__(self) -> int:
        """Return the number of needed nodes: as many pieces can there be."""
        return len(self._places)

    def sizes(self, shapes: Mapping[str, Sequence[int]]) -> Sizes:
        """Return the sizes of tensors in a batch whose inputs have these shapes, as far as they can be inferred."""
        small = skeleton(self._proto, self._folder)
        graph = small.graph
        for info in (*graph.value_info, *graph.output):
            info.type.tensor_type.ClearField("shape")  # what the file says of any batch
        for info in graph.input:
            if info.name in shapes:
                info.type.tensor_type.ClearField("shape")
                info.type.tensor_type.shape.SetInParent()
                for dim in shapes[info.name]:
                    info.type.tensor_type.shape.dim.add(dim_value=dim)
        return Sizes({n: found for n, found in infer_types(small, self._folder).items() if n in self._made})

    def cut(self, sizes: Sizes, room: int) -> tuple[Piece, ...]:
        """Return pieces in each of which all that is made, and what waits for later ones, is at most ``room`` bytes.

        A piece of one node may be larger, and one in which no cut can be made.
        """
        upto, waiting, stuck = self._made_before(sizes), self._waiting(sizes.of), self._stuck
        pieces: list[Piece] = []
        first = 0
        while first < len(self):
            stop = next(place for place in range(first + 1, len(self) + 1) if not stuck[place])
            for place in range(stop + 1, len(self) + 1):
                if waiting[first] + upto[place] - upto[first] > room:
                    break
                stop = stop if stuck[place] else place
            pieces.append(Piece(first, stop))
            first = stop
        return tuple(pieces)

    def halves(self, piece: Piece, sizes: Sizes) -> tuple[Piece, Piece] | None:
        """Return a piece cut in two where it is nearest to half of its bytes; None where it cannot be cut."""
        upto = self._made_before(sizes)
        places = [place for place in range(piece.first + 1, piece.stop) if not self._stuck[place]]
        if not places:
            return None
        middle = (upto[piece.first] + upto[piece.stop]) / 2
        place = min(places, key=lambda place: abs(upto[place] - middle))
        return Piece(piece.first, place), Piece(place, piece.stop)

    def largest(self, pieces: Iterable[Piece], sizes: Sizes) -> int:
        """Return the bytes of the largest of some pieces, with what waits meanwhile."""
        upto, waiting = self._made_before(sizes), self._waiting(sizes.of)
        return max((waiting[p.first] + upto[p.stop] - upto[p.first] for p in pieces), default=0)

    def weights(self, piece: Piece) -> int:
        """Return the bytes of the weights and constants that a piece reads: its session has them for itself."""
        nodes = self._proto.graph.node
        kept, _ = self._upstream(self._made_in(piece), self._is_made_from(piece))
        read = {name for i in kept for name in read_names(nodes[i])}
        return sum(self._stored.get(name, 0) for name in read)

    def outputs_of(self, piece: Piece) -> list[str]:
        """Return what is wanted of a piece, and what later ones read of it."""
        return [name for name in self._made_in(piece) if name in self.wanted or self.is_read_behind(name, piece)]

    def nodes_of(self, piece: Piece) -> list[NodeProto]:
        """Return the nodes of a piece."""
        return [self._proto.graph.node[i] for i in self._places[piece.first : piece.stop]]

    def inputs_of(self, piece: Piece) -> list[str]:
        """Return what a piece reads of those before it, and of what is fed."""
        return self._upstream(self._made_in(piece), self._is_made_from(piece))[1]

    def last_reader(self, name: str) -> int:
        """Return the place of the last node that reads a tensor; -1 where none does."""
        return self._last_read.get(name, -1)

    def _made_in(self, piece: Piece) -> list[str]:
        return [name for node in self.nodes_of(piece) for name in node.output if name]

    def _is_made_from(self, piece: Piece) -> Callable[[str], bool]:
        """Return what says whether a tensor is made in a piece, or again in each, and not before it."""
        return lambda name: self._made.get(name, piece.first) >= piece.first

    def _made_before(self, sizes: Sizes) -> list[int]:
        """Return, for each place, the bytes of all that is made before it."""
        made = [0] * len(self)
        for name, place in self._made.items():
            made[place] += sizes.of(name)
        return [0, *accumulate(made)]

    @cached_property
    def _stuck(self) -> list[int]:
        """For each place, how many tensors would flow there that cannot: no cut is made at such a place."""
        return self._waiting(lambda name: self._dtypes.get(name, UNKNOWN.dtype) not in _FLOW)

    def _waiting(self, weight: Callable[[str], int]) -> list[int]:
        """Return, for each place, the weight of the tensors that are made before it and read from there on."""
        change = [0] * (len(self) + 2)
        for name, place in self._last_read.items():
            if name not in self._made:
                continue  # fed
            change[self._made[name] + 1] += weight(name)
            change[place + 1] -= weight(name)
        return list(accumulate(change[: len(self) + 1]))

    def is_read_behind(self, name: str, piece: Piece) -> bool:
        """Whether a later piece reads a tensor."""
        return self._last_read.get(name, -1) >= piece.stop

    def model_of(self, piece: Piece) -> PartialModel:
        """Return a piece as a model of its own, whose outputs are what is wanted of it and what later ones read."""
        kept, inputs = self._upstream(self._made_in(piece), self._is_made_from(piece))
        return assemble(self._proto, kept, inputs, self.outputs_of(piece), self._dtypes)


def _move_up(proto: ModelProto, n_added: int) -> None:
    """Put each of the last nodes where all that it reads is made."""
    if not n_added:
        return
    nodes = list(proto.graph.node)
    behind: dict[str, tuple[int, int]] = {}
    places = []
    for i, node in enumerate(nodes):
        place = (i, 0)
        if i >= len(nodes) - n_added:
            place = (max((behind[name][0] for name in read_names(node) if name in behind), default=-1), i)
        behind.update((name, place) for name in node.output if name)
        places.append(place)
    ordered = [nodes[i] for i in sorted(range(len(nodes)), key=places.__getitem__)]
    del proto.graph.node[:]
    proto.graph.node.extend(ordered)


def _nbytes_stored(tensor: TensorProto) -> int:
    """Return the bytes of a stored tensor on a device, wherever its values lie; of types of less than a byte a byte."""
    itemsize = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize if tensor.data_type else 0
    return int(itemsize * math.prod(tensor.dims))


def _nbytes(found: TensorType) -> int | None:
    """Return the bytes of a tensor; None where its shape is not known."""
    if found.shape is None or not all(isinstance(dim, int) for dim in found.shape) or found.dtype not in _FLOW:
        return None
    itemsize = 2 if found.dtype == "bfloat16" else np.dtype(found.dtype).itemsize
    return itemsize * math.prod(dim for dim in found.shape if isinstance(dim, int))
