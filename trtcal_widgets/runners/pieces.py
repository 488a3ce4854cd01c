"""A model run piece by piece on a device, so that no more than so many bytes of it are taken at any time.

Each piece of the model (:mod:`trtcal_widgets.runners.cutting`) is a session of ONNX Runtime with the weights that it
reads. Its outputs lie in buffers of ours, whose size is known before; what is left of the bound is the limit of the
session's own memory: weights, and what operators need while they run. ONNX Runtime refuses to go beyond it. A piece
that is refused is cut in two and run again, and what was run before it stays as it is.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trtcal_widgets.errors import ModelError, OutOfDeviceMemoryError
from trtcal_widgets.gpu.arrays import DeviceTensor
from trtcal_widgets.gpu.driver import readable_size
from trtcal_widgets.model.inference import TensorType
from trtcal_widgets.runners.cutting import Piece
from trtcal_widgets.runners.feeds import fed_in_words
from trtcal_widgets.runners.held import ON_DEVICE, HeldTensors, KeptBlock, Specs, Value, dtype_of, nbytes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.gpu.memory import DeviceMemory
    from trtcal_widgets.runners.cutting import CutModel, Sizes

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""The inputs of a batch and their shapes."""

_PER_SESSION = 80 << 20
"""What a session has besides what its limit is for (handles of cuBLAS and cuDNN), seen on an H200: 64 to 76 MiB."""

_SPARE = 16 << 20
"""Of the bound, for what the driver rounds up: it deals out pages of 2 MiB."""

_RESERVE = 16 << 20
"""Of what is left to a session, what it is not given: so much more may be allocated before it must be opened anew."""

_SHAPES = 64
"""Shapes of batches whose sizes are remembered."""

_FIRST_SHARES = (0.85, 0.7, 0.55, 0.4, 0.3, 0.2, 0.1)
"""Of what is left, what tensors of a piece may have at first; the first one is taken with which sessions fit too."""

_TRIED = 0.85
"""Of what is left, what tensors and sessions may have together at first: the rest is for operators while they run."""


class LayerTooLargeError(OutOfDeviceMemoryError):
    """A single layer does not fit: no way to cut the model would help."""


class _Opened(NamedTuple):
    """The session of a piece, its limit in bytes, and the names of what it reads and gives."""

    session: Any
    limit: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class ModelInPieces:
    """Runs a model piece by piece within a bound.

    In the bound are the tensors of the piece that runs and those that wait for later ones, the model's inputs, what
    else was allocated of ``memory`` (the histograms), and for each open session its weights, what its operators need
    while they run, and :data:`_PER_SESSION`. Sessions stay open while there is room for them.

    Parameters
    ----------
    model
        The model to cut.
    wanted
        What pieces give -> what it is called when it is given.
    memory
        The device's memory.
    place
        ONNX Runtime's name for where outputs are left, and the device's index.
    opened
        What makes a session of a serialised piece, given the limit of its memory in bytes.
    run
        What runs a session with its binding, and explains what fails, given the batch in words.
    name
        The model's, for messages.
    """

    def __init__(
        self,
        model: CutModel,
        wanted: Mapping[str, str],
        memory: DeviceMemory,
        place: tuple[str, int],
        *,
        opened: Callable[[bytes, int], Any],
        run: Callable[[Any, Any, str], None],
        name: str,
    ) -> None:
        self._model = model
        self._wanted = wanted
        self._memory = memory
        self._place = place
        self._opened = opened
        self._run = run
        self._name = name
        on_gpu = place[0] == "cuda"
        self._each, self._spare, self._reserve = (_PER_SESSION, _SPARE, _RESERVE) if on_gpu else (0, 0, 0)
        self._kept = KeptBlock()
        self._shapes: Shapes = ()
        self._sizes: dict[Shapes, Sizes] = {}
        self._pieces: dict[int, Piece] = {}
        self._sessions: dict[Piece, _Opened] = {}
        self._weights: dict[Piece, int] = {}
        self._alone: set[Piece] = set()
        self._learnt = False  # whether sizes are known by now that were not when the model was cut
        self._bound = 0
        self._share = 0.5
        self._for_sessions = 0
        self._is_fresh = False  # whether the session of the piece that runs was opened for this very run

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """How the model is cut now; empty before the first run."""
        return tuple(self._pieces[first] for first in sorted(self._pieces))

    def sizes(self, shapes: Shapes) -> Sizes:
        """Return the sizes of tensors in a batch of such inputs."""
        if shapes not in self._sizes:
            if len(self._sizes) >= _SHAPES:
                del self._sizes[next(iter(self._sizes))]
            self._sizes[shapes] = self._model.sizes(dict(shapes))
        return self._sizes[shapes]

    def run(self, feeds: Mapping[str, NDArray[np.generic]], bound: int) -> Iterator[dict[str, Value]]:
        """Run one batch and yield its inputs, and for each piece what is wanted of it, by name.

        Parameters
        ----------
        feeds
            The batch.
        bound
            Bytes of the device that may be taken at any time.

        Yields
        ------
        dict
            Each tensor once. It is there until the next one is asked for.

        Raises
        ------
        OutOfDeviceMemoryError
            If a single layer does not fit; the message says what it needs.
        """
        shapes = tuple((name, tuple(array.shape)) for name, array in feeds.items())
        if shapes != self._shapes:
            self._kept.free()
        self._shapes, sizes = shapes, self.sizes(shapes)
        fed = fed_in_words(feeds)
        with HeldTensors(self._memory, self._kept) as held:
            self._check_feeds(feeds, bound)
            for name, array in feeds.items():
                held.feed(name, array)
            yield {name: held[name] for name in feeds}
            held.keep(name for name in feeds if self._model.last_reader(name) >= 0)
            self._cut(sizes, bound)
            at = 0
            while at < len(self._model):
                piece = self._starting_at(at)
                found = self._try(piece, held, sizes, fed)
                if found is None:
                    continue
                yield {self._wanted[name]: value for name, value in found.items() if name in self._wanted}
                found.clear()
                held.keep(name for name in held if self._model.last_reader(name) >= piece.stop)
                self._keep_open(piece)
                at = piece.stop

    def _starting_at(self, at: int) -> Piece:
        """Return the piece that goes on from a place, even where the model was cut otherwise meanwhile."""
        stops = [piece.stop for piece in self._pieces.values() if piece.first <= at < piece.stop]
        return self._pieces.get(at) or Piece(at, min(stops, default=len(self._model)))

    def _check_feeds(self, feeds: Mapping[str, NDArray[np.generic]], bound: int) -> None:
        fed = sum(array.nbytes for array in feeds.values())
        if self._memory.taken + fed > bound:
            raise LayerTooLargeError(
                f"{self._name} cannot be counted within {readable_size(bound)} of the GPU's memory: the batch has "
                f"{readable_size(fed)}, the histograms {readable_size(self._memory.taken)}; use a smaller batch_size, "
                "or give it more room (gpu_memory=)",
                requested=fed,
            )

    def _cut(self, sizes: Sizes, bound: int) -> None:
        """Cut the model as far as can be told beforehand; it stays as it is cut while the bound does."""
        left = bound - self._memory.taken - self._spare
        if bound != self._bound or not self._pieces or self._learnt:
            pieces = self._first_cut(sizes, left)
            if bound != self._bound or not self._pieces or 2 * len(pieces) <= len(self._pieces):
                self.close()
                self._bound, self._share = bound, 0.5
                self._pieces = {piece.first: piece for piece in pieces}
        self._learnt = False
        self._kept.wanted = len(self._pieces) == 1
        costs = [self._standing(piece) for piece in self._pieces.values()]
        spare = left - self._model.largest(self.pieces, sizes) - max(costs, default=0)
        self._for_sessions = sum(costs) if len(costs) == 1 else max(0, int(self._share * spare))

    def _first_cut(self, sizes: Sizes, left: int) -> tuple[Piece, ...]:
        """Return the fewest pieces whose sessions can stay open, else the fewest that can be open one at a time."""
        ways = [self._model.cut(sizes, int(share * left)) for share in _FIRST_SHARES]
        for total in (sum, max):
            for pieces in ways:
                costs = [self._standing(piece) for piece in pieces]
                if self._model.largest(pieces, sizes) + total(costs) <= _TRIED * left:
                    return pieces
        return self._model.cut(sizes, 0)

    def _standing(self, piece: Piece) -> int:
        """Return what the session of a piece has while it does not run."""
        return self._each + self._weights_of(piece)

    def _weights_of(self, piece: Piece) -> int:
        if piece not in self._weights:
            self._weights[piece] = self._model.weights(piece)
        return self._weights[piece]

    def _try(self, piece: Piece, held: HeldTensors, sizes: Sizes, fed: str) -> dict[str, Value] | None:
        """Run a piece and return its outputs; None where it was refused and there are smaller ones now."""
        try:
            return self._run_piece(piece, held, sizes, fed)
        except OutOfDeviceMemoryError as error:
            self._give_way(piece, held, sizes, fed, error)
        gc.collect()  # behind the handler: its error holds what was on the device
        return None

    def _give_way(self, piece: Piece, held: HeldTensors, sizes: Sizes, fed: str, error: OutOfDeviceMemoryError) -> None:
        """Make room for a piece that was refused, by what costs least; raise where there is nothing left to give."""
        had = self._sessions.pop(piece, None)
        if self._sessions:
            self._sessions.clear()
            self._share /= 2
            self._for_sessions //= 2
            return
        if had is not None and not self._is_fresh:
            return
        halves = self._model.halves(piece, sizes)
        if halves is not None:
            self._pieces.update((half.first, half) for half in halves)
            self._kept.wanted = False
        elif piece not in self._alone and held.movable(self._model.inputs_of(piece)):
            self._alone.add(piece)
        else:
            raise self._too_large(piece, held, sizes, fed, error) from error

    def _limit(self, but: Piece | None = None) -> int:
        """Return what a session may take now for itself, if another one is open for each piece but one."""
        open_ones = sum(self._standing(piece) for piece in self._sessions if piece != but)
        return self._bound - self._memory.taken - self._spare - self._each - open_ones

    def _run_piece(self, piece: Piece, held: HeldTensors, sizes: Sizes, fed: str) -> dict[str, Value]:
        """Run a piece and return its outputs, which are held."""
        if piece in self._alone:
            held.to_host(held.movable(self._model.inputs_of(piece)))
        specs = self._specs(piece, sizes)
        waiting = {name: spec for name, spec in specs.items() if self._model.is_read_behind(name, piece)}
        dying = {name: spec for name, spec in specs.items() if name not in waiting}
        self._is_fresh = True
        if self._limit(piece) - held.needed(dying, waiting) < self._weights_of(piece):
            raise OutOfDeviceMemoryError("Its tensors and its session are more than there is room for")
        try:
            places = held.place(dying, waiting)
            opened = self._open(piece)
            # Nothing else needs the room, so a session may hold until its next run what nobody knew the size of.
            loose = [n for n in opened.outputs if sizes.dtype(n) in ON_DEVICE] if len(self._pieces) == 1 else []
            try:
                found = self._bound_run(opened, held, places, loose, fed)
            except ModelError:
                if not places:
                    raise
                found = self._bound_run(opened, held, {}, loose, fed)  # their shapes were not as inferred
                sizes.doubt(places)
        except BaseException:
            held.withdraw(specs)
            raise
        for name, value in found.items():
            if not isinstance(value, DeviceTensor):
                self._learnt |= sizes.learn(name, TensorType(dtype_of(value), tuple(value.shape())))
        held.add(found)
        return found

    def _specs(self, piece: Piece, sizes: Sizes) -> Specs:
        """Return the outputs of a piece that go into buffers of ours: those of a type and a shape that are known."""
        specs: Specs = {}
        for name in self._model.outputs_of(piece):
            found = sizes.known(name)
            if found is not None and found.dtype in ON_DEVICE and found.shape is not None:
                spec = found.dtype, tuple(dim for dim in found.shape if isinstance(dim, int))
                if nbytes_of(spec):
                    specs[name] = spec
        return specs

    def _bound_run(
        self, opened: _Opened, held: HeldTensors, places: Mapping[str, DeviceTensor], loose: Collection[str], fed: str
    ) -> dict[str, Value]:
        """Run a session; outputs that have no place lie in its own memory if they are loose, else on the host."""
        binding = opened.session.io_binding()
        for name in opened.inputs:
            value = held[name]
            if isinstance(value, DeviceTensor):
                binding.bind_input(name, *self._place, np.dtype(value.dtype).type, value.shape, value.ptr)
            else:
                binding.bind_ortvalue_input(name, value)
        for name in opened.outputs:
            place = places.get(name)
            if place is not None:
                binding.bind_output(name, *self._place, np.dtype(place.dtype).type, place.shape, place.ptr)
            else:
                binding.bind_output(name, *(self._place if name in loose else ("cpu", 0)))
        self._run(opened.session, binding, fed)
        return {n: places.get(n, value) for n, value in zip(opened.outputs, binding.get_outputs(), strict=True)}

    def _open(self, piece: Piece) -> _Opened:
        """Return the session of a piece, whose limit is what the bound leaves to it now."""
        opened, left = self._sessions.get(piece), self._limit(piece)
        self._is_fresh = opened is None or opened.limit > left
        if opened is None or self._is_fresh:
            self._sessions.pop(piece, None)
            limit = max(left - self._reserve, min(left, self._weights_of(piece)))
            part = self._model.model_of(piece)
            session = self._opened(part.proto.SerializeToString(), limit)
            opened = self._sessions[piece] = _Opened(session, limit, part.inputs, part.outputs)
        return opened

    def _keep_open(self, piece: Piece) -> None:
        """Close the session of a piece that has run, unless there is room for it."""
        if sum(map(self._standing, self._sessions)) > self._for_sessions:
            self._sessions.pop(piece, None)

    def _too_large(
        self, piece: Piece, held: HeldTensors, sizes: Sizes, fed: str, error: Exception
    ) -> LayerTooLargeError:
        """Return the error for a layer that does not fit, with what it needs."""
        nodes = self._model.nodes_of(piece)
        outputs = {name: sizes.of(name) for node in nodes for name in node.output if name}
        largest = max(outputs, key=lambda name: outputs[name])
        read = self._model.inputs_of(piece)
        inputs = sum(value.nbytes if isinstance(value := held[name], DeviceTensor) else 0 for name in read)
        weights = self._weights_of(piece)
        least = sum(outputs.values()) + inputs + weights + self._each + self._spare + self._memory.taken
        what = " and ".join(dict.fromkeys(node.op_type for node in nodes))
        free, more = self._memory.mem_info().free, f"or give it more room (gpu_memory=, above {readable_size(least)})"
        if least < self._bound and free < self._bound:
            more = f"or free what other programs hold on the GPU: only {readable_size(free)} are free"
        return LayerTooLargeError(
            f"{self._name} does not fit into {readable_size(self._bound)} of the GPU's memory with a batch of {fed}: "
            f"{what} makes tensor {self._wanted.get(largest, largest)!r} of {readable_size(outputs[largest])}, has "
            f"{readable_size(inputs)} of inputs and {readable_size(weights)} of weights, and needs more while it runs. "
            f"Use a smaller batch_size, {more}. {error}",
            requested=outputs[largest],
        )

    def close(self) -> None:
        """Free ONNX Runtime's memory, and forget how the model is cut."""
        self._kept.free()
        self._sessions.clear()
        self._pieces.clear()
        self._alone.clear()
