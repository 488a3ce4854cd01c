"""What a network takes, and a batch as the arrays that TensorRT will read, in its order."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.data.base import ONLY_INPUT
from trtcal_widgets.errors import DataError, UsageError
from trtcal_widgets.model.graph import FLOAT_DTYPES, ModelGraph, TensorInfo, TensorKind
from trtcal_widgets.model.rows import constants_of
from trtcal_widgets.runners.feeds import check_feeds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.data.base import Batch

NUMPY_NAMES = MappingProxyType(
    {
        "FLOAT": "float32",
        "HALF": "float16",
        "BF16": "bfloat16",
        "INT64": "int64",
        "INT32": "int32",
        "INT8": "int8",
        "UINT8": "uint8",
        "BOOL": "bool",
    }
)
"""Names of TensorRT's element types -> NumPy's. Types that no array can hold (FP8, FP4, INT4) are not in it."""

_UNCHECKED = frozenset({"float32", "float16", "int64", "int32", "int8", "uint8", "bool"})
"""What is passed on as it is where the network's own types are not known: types that TensorRT has."""


def inputs_of(network: Any) -> ModelGraph | None:
    """Return the inputs of a network as facts that a batch can be checked against.

    ``network``: a ``trt.INetworkDefinition``, a :class:`ModelGraph`, a mapping of input name -> (dtype name, shape)
    with -1 or None for dimensions of any size, or None for "not known". Raises UsageError if it is none of these.
    """
    if network is None or isinstance(network, ModelGraph):
        return network
    if hasattr(network, "num_inputs"):
        tensors = [network.get_input(index) for index in range(network.num_inputs)]
        pairs = {
            str(itensor.name): (NUMPY_NAMES.get(itensor.dtype.name, ""), tuple(itensor.shape)) for itensor in tensors
        }
        return facts_of_inputs("the TensorRT network", pairs)
    if isinstance(network, Mapping):
        return facts_of_inputs("the network", network)
    raise UsageError(
        "network_inputs must be a TensorRT network, a ModelGraph, or a dict {name: (dtype, shape)}, not "
        f"{kind_of(network)}"
    )


def facts_of_inputs(name: str, pairs: Mapping[str, tuple[Any, Iterable[Any]]]) -> ModelGraph:
    """Return inputs as facts; the dtype ``""`` stands for one that no array has.

    Raises UsageError if a pair cannot be read.
    """
    tensors = {}
    for key, pair in pairs.items():
        try:
            dtype, shape = pair
            dims = tuple(None if dim is None or int(dim) < 0 else int(dim) for dim in shape)
            known = isinstance(dtype, str) and dtype in ("", "bfloat16")  # NumPy alone has no bfloat16
            text = dtype if known else np.dtype(dtype).name
        except (TypeError, ValueError):
            raise UsageError(
                f"what {name} takes as {key!r} must be (dtype, shape), such as ('float32', (-1, 3, 224, 224)), not "
                f"{pair!r:.80}"
            ) from None
        tensors[key] = TensorInfo(key, TensorKind.INPUT, text, dims, producer=-1, consumers=())
    return ModelGraph(name, sha256="", opset=0, tensors=MappingProxyType(tensors), nodes=())


class NetworkNames(NamedTuple):
    """Names of a network's tensors: those that have a range, and the others (integers, shapes)."""

    ranged: tuple[str, ...]
    others: tuple[str, ...]
    constants: tuple[str, ...] = ()
    """Of the first, those that TensorRT may call otherwise; none where the names are TensorRT's own."""


def network_tensors(network: Any) -> NetworkNames:
    """Return the names of all tensors of a ``trt.INetworkDefinition``: inputs, then each layer's outputs, once."""
    ranged: dict[str, None] = {}
    others: dict[str, None] = {}
    for itensor in each_tensor(network):
        floats = NUMPY_NAMES.get(itensor.dtype.name, "") in FLOAT_DTYPES and not itensor.is_shape_tensor
        (ranged if floats else others)[str(itensor.name)] = None
    return NetworkNames(tuple(ranged), tuple(others))


def constant_tensors(network: Any, graph: ModelGraph) -> dict[str, str]:
    """Return ONNX name -> TensorRT's name of the constants that are tensors of a network.

    The ONNX parser names the layer after the constant; how its tensor is called depends on the release.

    ``network``: a ``trt.INetworkDefinition``. ``graph``: the model that it was parsed from.
    """
    found = {}
    wanted = frozenset(constants_of(graph))
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if str(layer.name) in wanted and layer.num_outputs == 1:
            name = str(layer.get_output(0).name)
            if name not in graph.tensors:  # a node that has a constant's name makes a tensor of the model
                found[str(layer.name)] = name
    return found


def each_tensor(network: Any) -> Iterator[Any]:
    """Yield the ``ITensor`` objects of a network: inputs, then each layer's outputs."""
    for index in range(network.num_inputs):
        yield network.get_input(index)
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        for output in range(layer.num_outputs):
            itensor = layer.get_output(output)
            if itensor is not None:  # an optional output that the layer does not have
                yield itensor


def arrange(batch: Batch, names: Sequence[str], inputs: ModelGraph | None) -> list[NDArray[np.generic]]:
    """Return a batch's arrays in the order in which TensorRT names its inputs.

    ``batch``: the batch. ``names``: what TensorRT passed to ``get_batch``. ``inputs``: what the network takes; None
    where that is not known: then only the names are checked, and that TensorRT has the dtype at all. Returns list of
    arrays: C-contiguous, one per name, of the network's dtype where that is known. Raises DataError if the batch lacks
    an input, or an array does not fit in dtype or shape; names the batch.
    """
    try:
        if inputs is not None:
            feeds: Mapping[str, NDArray[np.generic]] = check_feeds(inputs, batch.feeds)
        else:
            feeds = _unchecked(batch.feeds, names)
    except DataError as error:
        raise DataError(f"batch {batch.index}: {error}") from error
    missing = [name for name in names if name not in feeds]
    if missing:
        raise DataError(
            f"batch {batch.index}: TensorRT asks for input {missing[0]!r}, the batch has "
            f"{', '.join(map(repr, feeds))}. Was the calibrator made for another network?"
        )
    return [feeds[name] for name in names]


def _unchecked(feeds: Mapping[str, NDArray[np.generic]], names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    if set(feeds) == {ONLY_INPUT} and len(names) == 1:
        feeds = {names[0]: feeds[ONLY_INPUT]}
    for name, array in feeds.items():
        if array.dtype.name not in _UNCHECKED:
            raise DataError(
                f"input {name!r} is {array.dtype}, and TensorRT would read it as something else. Pass "
                "network_inputs=network, so that it is converted to what the network takes, or convert it: "
                "x.astype('float32')"
            )
    return {name: np.ascontiguousarray(array) for name, array in feeds.items()}
