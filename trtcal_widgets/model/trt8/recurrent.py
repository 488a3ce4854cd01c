"""RNN, GRU and LSTM become loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.model.trt8.importing import Node, Result, imports
from trtcal_widgets.model.trt8.network import Computed, SameAs, Tensor
from trtcal_widgets.model.trt8.picking import filled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trtcal_widgets.model.trt8.network import Dims

_SEQUENCE_LENGTHS, _INITIAL_HIDDEN, _INITIAL_CELL, _PEEPHOLES = 4, 5, 6, 7


class _Loop:
    """One recurrent node on its way into a network: layers outside the loop, and layers in it."""

    def __init__(self, node: Node) -> None:
        if node.given(_SEQUENCE_LENGTHS) is not None:
            raise node.unsure("with sequence lengths is not followed")
        self.node, self.parser = node, node.parser
        self.both = node.text("direction", "forward") == "bidirectional"
        self.directions = 2 if self.both else 1
        self.hidden = node.whole("hidden_size", 0)
        self._clip = node.number("clip", -1.0)

    def add(self, kind: str, inputs: Sequence[Tensor | None], dims: Dims | None = None, dtype: str = "float") -> Tensor:
        """Add a layer outside the loop."""
        return self.node.net.tensor(kind, inputs, dtype, dims)

    def inside(self, kind: str, inputs: Sequence[Tensor | None], dims: Dims | None = None) -> Tensor:
        """Add a layer in the loop: no tensor there has a row."""
        return _in_loop(self.add(kind, inputs, dims))

    def length(self, x: Tensor, axis: int, dims: Dims = ()) -> Tensor:
        """Return the length of an axis: a constant, or taken from the shape."""
        if x.known[axis] >= 0:
            return self.add("CONSTANT", [], dims, "int")
        shape = self.add("SHAPE", [x], (x.rank,), "int")
        place = self.add("CONSTANT", [], dims, "int")
        return self.add("GATHER", [shape, place], dims, "int")

    def state_shape(self, x: Tensor) -> Tensor:
        """Directions, batch, hidden size."""
        directions, hidden = self.parser.ints(1), self.parser.ints(1)
        return self.add("CONCATENATION", [directions, self.length(x, 1, (1,)), hidden], (3,), "int")

    def initial(self, index: int, shape: Tensor) -> Tensor:
        """Return the state before the first step: an input, or zeros."""
        given = self.node.given(index)
        return filled(self.parser, self.parser.number(0.0, (1,)), shape) if given is None else self.parser.tensor(given)

    def enter(self, x: Tensor) -> Tensor:
        """Begin the loop, and return what one step reads."""
        self.node.net.add("TRIP_LIMIT", [self.length(x, 0)], n_outputs=0)
        iterators = [self.inside("ITERATOR", [x], x.known[1:]) for _ in range(self.directions)]
        steps = [_in_loop(self.parser.unsqueeze(iterator, [0])) for iterator in iterators]
        return self.inside("CONCATENATION", steps, (2, *x.known[1:])) if self.both else steps[0]

    def activated(self, x: Tensor) -> Tensor:
        """Add an activation, behind a clip where one is asked for."""
        clipped = self.inside("ACTIVATION", [x], x.dims) if self._clip >= 0 else x
        return self.inside("ACTIVATION", [clipped], x.dims)

    def gate(self, gates: Tensor, shape: Tensor) -> Tensor:
        """Cut one gate out."""
        cut = self.inside("SLICE", [gates, None, shape])
        assert cut.layer is not None
        cut.layer.inputs[1] = self.parser.ints(3)
        return cut

    def leave(self, x: Tensor, single: Tensor, hidden: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
        """Add the outputs: all steps, each of shape ``single``, then the last values of the states."""
        length = self.length(x, 0)
        dims = [*self.node.out_dims, None, None]
        if self.both:
            starts = [self.parser.ints(3), self.parser.ints(3)]
            sides = [self.inside("SLICE", [hidden, start, single]) for start in starts]
            passes = [self.add("LOOP_OUTPUT", [side, length]) for side in sides]
            steps = self.add("CONCATENATION", passes, dims[0])
            for i, one_way in enumerate(passes):
                one_way.value = _piece(steps, i, i + 1, 1)
        else:
            steps = self.add("LOOP_OUTPUT", [hidden, length], dims[0])
        return [steps, *(self.add("LOOP_OUTPUT", [state], d) for state, d in zip(states, dims[1:], strict=False))]


def _in_loop(tensor: Tensor) -> Tensor:
    assert tensor.layer is not None
    tensor.layer.in_loop = True
    return tensor


def _piece(tensor: Tensor, start: int, end: int, axis: int) -> Computed:
    return Computed("Slice", (tensor,), integers=((start,), (end,), (axis,)))


def _feed_back(state: Tensor, new: Tensor) -> None:
    assert state.layer is not None
    state.layer.inputs.append(new)


def _folded_bias(loop: _Loop, gates: int) -> Tensor | None:
    """Return the sum of the two halves of the bias."""
    if loop.node.given(3) is None:
        return None
    bias = loop.node.tensor(3)
    halves = loop.add("SHUFFLE", [bias], (loop.directions, 2, gates * loop.hidden))
    halves.value = SameAs(bias)
    total = loop.add("REDUCE", [halves], (loop.directions, 1, gates * loop.hidden))
    total.value = Computed("ReduceSum", (halves,), {"axes": [1], "keepdims": 1})
    return total


@imports("RNN")
def _rnn(node: Node) -> Result:
    loop = _Loop(node)
    x, weights, recurrent = node.tensor(0), node.tensor(1), node.tensor(2)
    bias = _folded_bias(loop, 1)
    if node.given(_INITIAL_HIDDEN) is None:
        shape = loop.state_shape(x)
        first = loop.initial(_INITIAL_HIDDEN, shape)
    else:
        first = node.tensor(_INITIAL_HIDDEN)
    step = loop.enter(x)
    hidden = loop.add("RECURRENCE", [first], first.dims)
    products = [loop.inside("MATRIX_MULTIPLY", pair) for pair in ([step, weights], [hidden, recurrent])]
    total = loop.inside("ELEMENTWISE", products)
    total = total if bias is None else loop.inside("ELEMENTWISE", [total, bias])
    new = loop.activated(total)
    count = node.parser.ints(3)
    shape = loop.state_shape(x)
    single = loop.add("ELEMENTWISE", [shape, count], (3,), "int")
    _feed_back(hidden, new)
    return loop.leave(x, single, new, [hidden])


@imports("LSTM")
def _lstm(node: Node) -> Result:
    loop = _Loop(node)
    x, weights, recurrent = node.tensor(0), node.tensor(1), node.tensor(2)
    bias = _folded_bias(loop, 4)
    shape = loop.state_shape(x)
    first, first_cell = loop.initial(_INITIAL_HIDDEN, shape), loop.initial(_INITIAL_CELL, shape)
    step = loop.enter(x)
    hidden = loop.add("RECURRENCE", [first], first.dims)
    cell = loop.add("RECURRENCE", [first_cell], first_cell.dims)
    products = [loop.inside("MATRIX_MULTIPLY", pair) for pair in ([step, weights], [hidden, recurrent])]
    gates = loop.inside("ELEMENTWISE", products)
    gates = gates if bias is None else loop.inside("ELEMENTWISE", [gates, bias])
    peepholes = None if node.given(_PEEPHOLES) is None else node.tensor(_PEEPHOLES)

    def gate(seen: Tensor | None) -> Tensor:
        cut = loop.gate(gates, shape)
        if peepholes is not None and seen is not None:
            part = loop.inside("SLICE", [peepholes], (loop.directions, loop.hidden))
            spread = _in_loop(loop.parser.unsqueeze(part, [1]))
            cut = loop.inside("ELEMENTWISE", [cut, loop.inside("ELEMENTWISE", [spread, seen])])
        return loop.activated(cut)

    taken, kept, candidate = gate(cell), gate(cell), gate(None)
    added = loop.inside("ELEMENTWISE", [taken, candidate])
    remembered = loop.inside("ELEMENTWISE", [kept, cell])
    new_cell = loop.inside("ELEMENTWISE", [remembered, added])
    count = node.parser.ints(3)
    single = loop.add("ELEMENTWISE", [shape, count], (3,), "int")
    _feed_back(cell, new_cell)
    given_out = gate(new_cell)
    new = loop.inside("ELEMENTWISE", [given_out, loop.activated(new_cell)])
    _feed_back(hidden, new)
    return loop.leave(x, single, new, [hidden, cell])


@imports("GRU")
def _gru(node: Node) -> Result:
    loop = _Loop(node)
    x, weights, recurrent = node.tensor(0), node.tensor(1), node.tensor(2)
    w_zr, w_h = _gru_weights(loop, x, weights)
    r_zr = loop.add("SLICE", [recurrent], (loop.directions, 2 * loop.hidden, loop.hidden))
    r_h = loop.add("SLICE", [recurrent], (loop.directions, loop.hidden, loop.hidden))
    biases: list[Tensor] = []
    if node.given(3) is not None:
        bias = node.tensor(3)
        whole = loop.add("SHUFFLE", [bias], (loop.directions, 1, 6 * loop.hidden))
        whole.value = SameAs(bias)
        for begin, n_gates in ((0, 2), (2, 1), (3, 2), (5, 1)):
            piece = loop.add("SLICE", [whole], (loop.directions, 1, n_gates * loop.hidden))
            piece.value = _piece(bias, begin * loop.hidden, (begin + n_gates) * loop.hidden, 1)
            biases.append(piece)
    shape = loop.state_shape(x)
    step = loop.enter(x)
    first = loop.initial(_INITIAL_HIDDEN, shape)
    hidden = loop.add("RECURRENCE", [first], first.dims)
    gates = loop.inside("ELEMENTWISE", [loop.inside("MATRIX_MULTIPLY", p) for p in ([step, w_zr], [hidden, r_zr])])
    for part in biases[0:3:2]:
        gates = loop.inside("ELEMENTWISE", [gates, part])
    gates = loop.activated(gates)
    update, reset = loop.gate(gates, shape), loop.gate(gates, shape)
    fresh = loop.activated(
        _gru_candidate(loop, loop.inside("MATRIX_MULTIPLY", [step, w_h]), reset, hidden, r_h, biases)
    )
    kept = loop.inside("ELEMENTWISE", [update, hidden])  # the second argument is made first
    one = _in_loop(node.parser.number(1.0, (1, 1, 1)))
    rest = loop.inside("ELEMENTWISE", [loop.inside("ELEMENTWISE", [one, update]), fresh])
    new = loop.inside("ELEMENTWISE", [rest, kept])
    count = node.parser.ints(3)
    single = loop.add("ELEMENTWISE", [shape, count], (3,), "int")
    _feed_back(hidden, new)
    return loop.leave(x, single, new, [hidden])


def _gru_weights(loop: _Loop, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Cut the weights into those of two gates and those of the new state."""
    directions, one, two = (loop.parser.ints(1) for _ in range(3))
    width = loop.length(x, 2, (1,))
    cut = []
    for rows in (two, one):
        start = loop.parser.ints(3)
        size = loop.add("CONCATENATION", [directions, rows, width], (3,), "int")
        cut.append(loop.add("SLICE", [weights, start, size]))
    return cut[0], cut[1]


def _gru_candidate(
    loop: _Loop, product: Tensor, reset: Tensor, hidden: Tensor, weights: Tensor, biases: Sequence[Tensor]
) -> Tensor:
    if not loop.node.whole("linear_before_reset", 0):
        seen = loop.inside("MATRIX_MULTIPLY", [loop.inside("ELEMENTWISE", [reset, hidden]), weights])
        total = loop.inside("ELEMENTWISE", [product, seen])
        if biases:
            both = loop.parser.pointwise("ELEMENTWISE", [biases[3], biases[1]], "Add")
            total = loop.inside("ELEMENTWISE", [total, both])
        return total
    seen = loop.inside("MATRIX_MULTIPLY", [hidden, weights])
    if biases:
        seen = loop.inside("ELEMENTWISE", [seen, biases[3]])
    seen = loop.inside("ELEMENTWISE", [reset, seen])
    if biases:
        seen = loop.inside("ELEMENTWISE", [seen, biases[1]])
    return loop.inside("ELEMENTWISE", [product, seen])
