"""A model run piece by piece on a device, so that no more than a piece's tensors are there together.

ONNX Runtime keeps whatever is marked as an output until the run ends (seen on an H100), so asking one session for fewer
tensors at a time would save nothing. Here each piece of the model (:mod:`trtcal_widgets.runners.cutting`) is a session
of its own that has the weights that it reads and no others; what later pieces read is left on the device for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trtcal_widgets.runners.arena import shared_arena

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from trtcal_widgets.runners.cutting import CutModel, Piece, Sizes

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""The inputs of a batch and their shapes."""

_OF_NUMPY = frozenset({"tensor(float)", "tensor(float16)", "tensor(double)"})


class _Opened(NamedTuple):
    """The session of a piece, and the names of what it reads and gives."""

    session: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class ModelInPieces:
    """Runs a model piece by piece.

    Where the sessions of the pieces can share one arena of device memory, they stay open. Else each would keep its own,
    and all together what one run of the whole model has: then one is open at a time, and what waits for later pieces
    waits on the host.

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
        self._sizes: dict[Shapes, Sizes] = {}
        self._sessions: dict[Piece, _Opened] = {}
        self.pieces: tuple[Piece, ...] = ()
        self._room = 0

    def sizes(self, shapes: Shapes) -> Sizes:
        """Return the sizes of tensors in a batch of such inputs."""
        if shapes not in self._sizes:
            self._sizes[shapes] = self._model.sizes(dict(shapes))
        return self._sizes[shapes]

    def total(self, shapes: Shapes) -> int:
        """Return the bytes of all that is wanted of a batch."""
        return self.sizes(shapes).total(self._model.wanted)

    def largest(self, shapes: Shapes) -> int:
        """Return the bytes that a batch's tensors have at a time, as the model is cut now."""
        return self._model.largest(self.pieces, self.sizes(shapes))

    def cut(self, shapes: Shapes, room: int) -> None:
        """Cut the model so that a batch's tensors are at most so many bytes at a time, as far as that can be.

        It stays as it is cut where that serves: opening sessions takes longer than running them.
        """
        if self.pieces and self.largest(shapes) <= room:
            return
        pieces = self._model.cut(self.sizes(shapes), room)
        if pieces != self.pieces:
            self.close()
            self.pieces = pieces
        self._room = room

    def smaller_room(self, shapes: Shapes) -> int | None:
        """Return a room in which a batch runs in smaller pieces than now; None where the model has no smaller ones."""
        sizes = self.sizes(shapes)
        room = self._room if self.pieces else sizes.total(self._model.wanted)
        while room:
            room //= 2
            if self._model.cut(sizes, room) != self.pieces:
                return room
        return None

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
        return dict(zip(outputs, binding.get_outputs(), strict=True))

    def _open(self, piece: Piece) -> _Opened:
        if piece not in self._sessions:
            part = self._model.model_of(piece)
            config = {} if self._arena is None else self._arena.config
            session = self._opened(part.proto.SerializeToString(), config)
            self._sessions[piece] = _Opened(session, part.inputs, part.outputs)
        return self._sessions[piece]

    def _leave(self, piece: Piece, waiting: dict[str, Any]) -> None:
        """Give the memory back that a piece had and nobody needs any more."""
        if self._arena is not None:
            self._arena.shrink()
        if not self._one_at_a_time:
            return
        import onnxruntime as ort

        for name, value in waiting.items():
            if value.device_name() != "cpu" and value.data_type() in _OF_NUMPY:
                waiting[name] = ort.OrtValue.ortvalue_from_numpy(value.numpy())
        self._sessions.pop(piece, None)

    def close(self) -> None:
        """Free ONNX Runtime's memory."""
        self._sessions.clear()
        self.pieces = ()
        if self._arena is not None:
            self._arena.shrink()
