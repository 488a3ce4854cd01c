"""A model run piece by piece on a device, so that no more than a piece's tensors are there together.

ONNX Runtime keeps whatever is marked as an output until the run ends (seen on an H100), so asking one session for fewer
tensors at a time would save nothing. Here each piece of the model (:mod:`trtcal_widgets.runners.cutting`) is a session
of its own that has the weights that it reads and no others; what later pieces read is left on the device for them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from trtcal_widgets.runners.arena import shared_arena

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from trtcal_widgets.runners.cutting import CutModel, Piece, Sizes

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""The inputs of a batch and their shapes."""

_ITEMSIZES = {
    "float": 4, "int32": 4, "uint32": 4, "float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2, "bool": 1, "int8": 1,
    "uint8": 1,
}  # fmt: skip
"""Bytes of an element, by ONNX Runtime's names; all others have eight."""

_OF_NUMPY = frozenset({"tensor(float)", "tensor(float16)", "tensor(double)"})


_PER_SESSION = 150 << 20
"""What a session has besides tensors and weights (handles of cuBLAS and cuDNN), seen on an H200: 148 MiB."""


_STEP = 0.7
"""From one room that is looked at to the next."""

_MUCH_LESS = 0.75
"""Of what did not fit, what is tried next."""


class _Opened(NamedTuple):
    """The session of a piece, and the names of what it reads and gives."""

    session: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class ModelInPieces:
    """Runs a model piece by piece.

    Where the sessions of the pieces can share one arena of device memory, they stay open, as long as there is room for
    what each has besides. Else each would keep its own, and all together what one run of the whole model has: then one
    is open at a time, and what waits for later pieces waits on the host.

    Parameters
    ----------
    model
        The model to cut.
    wanted
        What pieces give -> what it is called when it is given.
    place
        ONNX Runtime's name for where outputs are left, and the device's index.
    opened
        What makes a session of a serialised piece, given session options.
    run
        What runs a session with its binding, and explains what fails, given the batch.

    Attributes
    ----------
    pieces
        How the model is cut now; empty before the first :meth:`cut`.
    """

    def __init__(
        self,
        model: CutModel,
        wanted: Mapping[str, str],
        place: tuple[str, int],
        opened: Callable[[bytes, Mapping[str, str]], Any],
        run: Callable[[Any, Any, Mapping[str, Any]], None],
    ) -> None:
        self._model = model
        self._wanted = wanted
        self._place = place
        self._opened = opened
        self._run = run
        self._arena = shared_arena(place[1]) if place[0] == "cuda" else None
        self._one_at_a_time = place[0] == "cuda" and self._arena is None
        self._each = _PER_SESSION if place[0] == "cuda" else 0
        self._weighs = place[0] == "cuda"
        self._weights: dict[Piece, int] = {}
        self._sizes: dict[Shapes, Sizes] = {}
        self._ladders: dict[Shapes, list[tuple[Piece, ...]]] = {}
        self._sessions: dict[Piece, _Opened] = {}
        self._shapes: Shapes = ()
        self.pieces: tuple[Piece, ...] = ()

    def sizes(self, shapes: Shapes) -> Sizes:
        """Return the sizes of tensors in a batch of such inputs."""
        if shapes not in self._sizes:
            self._sizes[shapes] = self._model.sizes(dict(shapes))
        return self._sizes[shapes]

    def total(self, shapes: Shapes) -> int:
        """Return the bytes of all that is wanted of a batch."""
        return self.sizes(shapes).total(self._wanted)

    def cut(self, shapes: Shapes, room: int) -> None:
        """Cut the model so that a batch takes at most so many bytes at a time, or as few as can be.

        It stays as it is cut where that serves: opening sessions takes longer than running them.
        """
        self._shapes, sizes = shapes, self.sizes(shapes)
        if self.pieces and self._cost(self.pieces, sizes) <= room:
            return
        ways = [self._model.cut(sizes, room), *self._ladder(shapes)]
        fits = [pieces for pieces in ways if self._cost(pieces, sizes) <= room]
        pieces = min(fits, key=len) if fits else min(ways, key=lambda way: self._cost(way, sizes))
        if pieces != self.pieces:
            self.close()
            self.pieces = pieces

    def smaller_room(self, shapes: Shapes) -> int | None:
        """Return a room in which a batch takes less than now; None where there is none.

        Once pieces whose sessions stay open cannot take less, sessions are opened one at a time, for every batch anew.
        """
        sizes = self.sizes(shapes)
        has = self._cost(self.pieces, sizes) if self.pieces else sizes.total(self._wanted)
        less = [cost for pieces in self._ladder(shapes) if (cost := self._cost(pieces, sizes)) < has]
        if less:
            return max([cost for cost in less if cost < _MUCH_LESS * has] or less)
        if self._one_at_a_time or not self._each:
            return None
        self._one_at_a_time = True
        alone = [self._cost(pieces, sizes) for pieces in self._ladder(shapes)]
        return max((cost for cost in alone if cost <= has), default=None)

    def _cost(self, pieces: Sequence[Piece], sizes: Sizes) -> int:
        """Return the bytes that a batch takes: the largest piece's tensors, and the sessions that are open.

        What is not in it: what operators need while they run, which comes from the arena, and what CUDA itself takes.
        """
        sessions = [self._each + self._weights_of(piece) for piece in pieces]
        return self._model.largest(pieces, sizes) + (max(sessions, default=0) if self._one_at_a_time else sum(sessions))

    def _weights_of(self, piece: Piece) -> int:
        if self._weighs and piece not in self._weights:
            self._weights[piece] = self._model.weights(piece)
        return self._weights.get(piece, 0)

    def _ladder(self, shapes: Shapes) -> list[tuple[Piece, ...]]:
        """Return ways to cut the model, from one piece to the smallest ones."""
        if shapes not in self._ladders:
            sizes, steps = self.sizes(shapes), [self._model.cut(self.sizes(shapes), self.total(shapes))]
            room = float(sizes.total(self._wanted))
            while room >= 1 and len(steps[-1]) < len(self._model.cut(sizes, 0)):
                room *= _STEP
                steps.append(self._model.cut(sizes, int(room)))
            self._ladders[shapes] = list(dict.fromkeys(steps))
        return self._ladders[shapes]

    def run(self, feeds: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Run one batch and yield, for each piece, what is wanted of it by name.

        ``feeds``: arrays of ONNX Runtime. What is yielded is the caller's to empty before the next piece is asked for.
        """
        waiting: dict[str, Any] = {}
        for piece in self.pieces:
            found = self._run_piece(piece, feeds, waiting)
            behind = {name: value for name, value in found.items() if self._model.is_read_behind(name, piece)}
            waiting = {n: v for n, v in waiting.items() if self._model.is_read_behind(n, piece)} | behind
            given = {self._wanted[name]: value for name, value in found.items() if name in self._wanted}
            found.clear()
            behind.clear()
            yield given
            given.clear()
            if self._one_at_a_time:
                self._leave(piece, waiting)

    def _run_piece(self, piece: Piece, feeds: Mapping[str, Any], waiting: Mapping[str, Any]) -> dict[str, Any]:
        """Run a piece and return its outputs."""
        session, inputs, outputs = self._open(piece)
        binding = session.io_binding()
        for name in inputs:
            binding.bind_ortvalue_input(name, waiting[name] if name in waiting else feeds[name])
        for name in outputs:
            binding.bind_output(name, *(self._place if self._model.is_float(name) else ("cpu", 0)))
        self._run(session, binding, feeds)
        found = dict(zip(outputs, binding.get_outputs(), strict=True))
        self._learn(found)
        return found

    def _learn(self, found: Mapping[str, Any]) -> None:
        """Take note of sizes that no shape inference tells: the next batch is cut by them."""
        sizes = self.sizes(self._shapes)
        new = [name for name, value in found.items() if sizes.learn(name, _nbytes(value))]
        if new:
            self._ladders.pop(self._shapes, None)

    def _open(self, piece: Piece) -> _Opened:
        if piece not in self._sessions:
            part = self._model.model_of(piece)
            config = {} if self._arena is None else self._arena.config
            session = self._opened(part.proto.SerializeToString(), config)
            self._sessions[piece] = _Opened(session, part.inputs, part.outputs)
        return self._sessions[piece]

    def _leave(self, piece: Piece, waiting: dict[str, Any]) -> None:
        """Close a piece; what waits goes to the host where it would keep the piece's own arena."""
        import onnxruntime as ort

        for name, value in waiting.items():
            if self._arena is None and value.device_name() != "cpu" and value.data_type() in _OF_NUMPY:
                waiting[name] = ort.OrtValue.ortvalue_from_numpy(value.numpy())
        self._sessions.pop(piece, None)

    def close(self) -> None:
        """Free ONNX Runtime's memory."""
        self._sessions.clear()
        self.pieces = ()
        if self._arena is not None:
            self._arena.shrink()


def _nbytes(value: Any) -> int:
    """Return the bytes of an array of ONNX Runtime, wherever it lies."""
    kind = value.data_type().removeprefix("tensor(").removesuffix(")")
    return int(_ITEMSIZES.get(kind, 8) * math.prod(value.shape()))
