"""What kernels call that is a few instructions: numba compiles it at once, where a function takes 30 ms at least."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

_READ = 0
_SECOND_LEVEL_CACHE = 2
_DATA = 1


def _prefetch(_context: Any, array: Any, index: Any) -> tuple[Any, Callable[..., None]]:
    """Ask for ``array[index]`` (contiguous, one axis) in the second-level cache; only in compiled functions.

    It is a hint, LLVM's ``llvm.prefetch``: nothing is read and nothing can fail, so that an index beyond the end is
    harmless. From there the hardware brings consecutive values to the first level by itself.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.bitcast(builder.gep(values.data, [arguments[1]]), cgutils.voidptr_t)
        number = ir.IntType(32)
        kinds = [cgutils.voidptr_t, number, number, number]
        kind = ir.FunctionType(ir.VoidType(), kinds)
        ask = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], kind)
        builder.call(ask, [address, number(_READ), number(_SECOND_LEVEL_CACHE), number(_DATA)])
        return context.get_dummy_value()

    return types.void(array, index), generate


def _bits_of(_context: Any, _value: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the bits of a float64 as an unsigned number; only in compiled functions."""
    return types.uint64(types.float64), _same_bits


def _float_of(_context: Any, _bits: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the float64 that has these bits; only in compiled functions."""
    return types.float64(types.uint64), _same_bits


def _same_bits(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))


def _float32_at(_context: Any, address: Any, _size: Any) -> tuple[Any, Callable[..., Any]]:
    """Return so many float32 values at an address; only in compiled functions.

    Whoever passes the address keeps the array alive.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = context.get_value_type(types.float32).as_pointer()
        return _vector(context, builder, signature.return_type, builder.inttoptr(arguments[0], pointer), arguments[1])

    return types.Array(types.float32, 1, "C")(address, types.intp), generate


def _scratch(_context: Any, size: Any, dtype: Any) -> tuple[Any, Callable[..., Any]]:
    """Return room for a constant number of values, shape (size,), on the stack; only in compiled functions.

    It is gone when the function returns. ``np.empty`` takes 0.1 s to compile.
    """
    if not isinstance(size, types.IntegerLiteral):
        return None  # type: ignore[return-value]  # numba then says that no such call is there
    length = size.literal_value

    def generate(context: Any, builder: Any, signature: Any, _arguments: Any) -> Any:
        kind = context.get_data_type(dtype.dtype)
        with builder.goto_entry_block():
            room = builder.alloca(ir.ArrayType(kind, length))
            room.align = 64
        data = builder.bitcast(room, kind.as_pointer())
        return _vector(context, builder, signature.return_type, data, context.get_constant(types.intp, length))

    return types.Array(dtype.dtype, 1, "C")(size, dtype), generate


def _part(_context: Any, array: Any, _start: Any, _stop: Any) -> tuple[Any, Callable[..., Any]]:
    """Return ``array[start:stop]`` of contiguous values, shape (n,); only in compiled functions.

    0 <= start <= stop <= n, which nobody checks: what numba compiles for a slice takes four times as long. The array
    itself must be kept. Of arrays that may not be written to it is as of others: what takes it is compiled once.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = context.make_array(signature.args[0])(context, builder, arguments[0])
        first, end = arguments[1:]
        return _vector(
            context, builder, signature.return_type, builder.gep(given.data, [first]), builder.sub(end, first)
        )

    return types.Array(array.dtype, 1, "C")(array, types.intp, types.intp), generate


def _row(_context: Any, array: Any, _index: Any) -> tuple[Any, Callable[..., Any]]:
    """Return ``array[index]`` of a contiguous array of two axes or more; only in compiled functions.

    The index is one that there is, which nobody checks, and the array itself must be kept; see :func:`part`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = context.make_array(signature.args[0])(context, builder, arguments[0])
        made = context.make_array(signature.return_type)(context, builder)
        shape, strides = (cgutils.unpack_tuple(builder, values) for values in (given.shape, given.strides))  # type: ignore[no-untyped-call]
        address = builder.add(builder.ptrtoint(given.data, arguments[1].type), builder.mul(arguments[1], strides[0]))
        data = builder.inttoptr(address, given.data.type)
        populate_array(made, data, shape[1:], strides[1:], given.itemsize, meminfo=None)  # type: ignore[no-untyped-call]
        return made._getvalue()  # noqa: SLF001 - numba's own way

    return types.Array(array.dtype, array.ndim - 1, "C")(array, types.intp), generate


def _vector(context: Any, builder: Any, kind: Any, data: Any, size: Any) -> Any:
    """Return an array of contiguous values that nobody counts references to."""
    array = context.make_array(kind)(context, builder)
    width = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    populate_array(array, data=data, shape=[size], strides=[width], itemsize=width, meminfo=None)  # type: ignore[no-untyped-call]
    return array._getvalue()  # noqa: SLF001 - numba's own way


def _whole(_context: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
    """Return ``int(value)``, which takes as long to compile as a function; only in compiled functions."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.cast(builder, arguments[0], signature.args[0], types.intp)

    return types.intp(value), generate


def _chosen(compare: Any) -> Callable[..., Any]:
    """Return how the one of two numbers is compiled for which the second compares to the first in some way."""

    def choose(context: Any, first: Any, second: Any) -> tuple[Any, Callable[..., Any]]:
        kind = context.unify_types(types.unliteral(first), types.unliteral(second))  # type: ignore[no-untyped-call]

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            given = zip(arguments, signature.args, strict=True)
            a, b = (context.cast(builder, value, own, kind) for value, own in given)
            is_second = context.get_function(compare, types.boolean(kind, kind))
            return builder.select(is_second(builder, (b, a)), b, a)

        return kind(first, second), generate

    return choose


def _seen_as(_context: Any, array: Any, dtype: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the memory of contiguous values, shape (n,), as values of another type; only in compiled functions.

    ``array.view(dtype)`` does so for any layout, and takes 0.2 s to compile for each pair of types.
    """
    seen_type = types.Array(dtype.dtype, 1, "C", readonly=not array.mutable)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = context.make_array(signature.args[0])(context, builder, arguments[0])
        seen = context.make_array(signature.return_type)(context, builder)
        width, new_width = (context.get_abi_sizeof(context.get_data_type(t)) for t in (array.dtype, dtype.dtype))
        number = context.get_value_type(types.intp)
        (size,) = cgutils.unpack_tuple(builder, given.shape)  # type: ignore[no-untyped-call]
        if new_width != width:
            size = builder.sdiv(builder.mul(size, number(width)), number(new_width))
        populate_array(  # type: ignore[no-untyped-call]
            seen,
            data=builder.bitcast(given.data, context.get_data_type(dtype.dtype).as_pointer()),
            shape=[size],
            strides=[number(new_width)],
            itemsize=number(new_width),
            meminfo=given.meminfo,
            parent=given.parent,
        )
        value = seen._getvalue()  # noqa: SLF001 - numba's own way
        return impl_ret_borrowed(context, builder, signature.return_type, value)  # type: ignore[no-untyped-call]

    return seen_type(array, dtype), generate


_larger = _chosen(operator.gt)
_smaller = _chosen(operator.lt)

larger = cast("Callable[[Any, Any], Any]", intrinsic(_larger))
"""``max`` of two numbers, which it is bit for bit, and which takes 0.03 s to compile for each pair of types."""
smaller = cast("Callable[[Any, Any], Any]", intrinsic(_smaller))
"""``min`` of two numbers."""
part = cast("Callable[[NDArray[Any], int, int], NDArray[Any]]", intrinsic(_part))
row_of = cast("Callable[[NDArray[Any], int], NDArray[Any]]", intrinsic(_row))
whole = cast("Callable[[Any], int]", intrinsic(_whole))
scratch = cast("Callable[[int, Any], NDArray[Any]]", intrinsic(_scratch))
float32_at = cast("Callable[[int, int], NDArray[np.float32]]", intrinsic(_float32_at))
prefetch = cast("Callable[[NDArray[Any], int], None]", intrinsic(_prefetch))
bits_of = cast("Callable[[float], np.uint64]", intrinsic(_bits_of))
float_of = cast("Callable[[np.uint64], float]", intrinsic(_float_of))
seen_as = cast("Callable[[NDArray[Any], Any], NDArray[Any]]", intrinsic(_seen_as))
