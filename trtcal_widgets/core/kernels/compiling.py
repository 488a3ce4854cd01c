"""How the kernels are compiled: without the GIL, and kept on disk wherever numba finds a place for them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def compiled(*, inner: bool = False, **options: Any) -> Callable[[_Function], _Function]:
    """Compile a function with numba on its first call: no GIL, no Python objects, cached on disk.

    The cache lies beside the package or, where that cannot be written, in the user's cache folder or the one that
    ``NUMBA_CACHE_DIR`` names. Where none of them can be written (a locked-down container) numba refuses to cache
    at all; the kernels then work as well, but every process compiles them again.

    ``inner``: only other kernels call it; what Python would call it through is a third of the time to compile it, and
    without it a call from Python crashes.
    ``**options``: further options of :func:`numba.njit`, such as ``fastmath``.
    """
    if inner:
        options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **options}

    def decorate(function: _Function) -> _Function:
        try:
            kernel = njit(nogil=True, cache=True, **options)(function)
        except RuntimeError as error:
            logging.getLogger(__name__).warning(
                "%s; it is compiled in every process. Let NUMBA_CACHE_DIR name a writable folder to avoid that.", error
            )
            kernel = njit(nogil=True, **options)(function)
        return kernel  # type: ignore[no-any-return]

    return decorate


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


def _float32_at(_context: Any, address: Any) -> tuple[Any, Callable[..., Any]]:
    """Return an address as a pointer to float32, for :func:`numba.carray`; only in compiled functions.

    Whoever passes the address keeps the array alive.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    pointer: Any = types.CPointer
    return pointer(types.float32)(address), generate


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


float32_at = cast("Callable[[int], Any]", intrinsic(_float32_at))
prefetch = cast("Callable[[NDArray[Any], int], None]", intrinsic(_prefetch))
bits_of = cast("Callable[[float], np.uint64]", intrinsic(_bits_of))
float_of = cast("Callable[[np.uint64], float]", intrinsic(_float_of))
seen_as = cast("Callable[[NDArray[Any], Any], NDArray[Any]]", intrinsic(_seen_as))
