"""What numba has no function for: asking for memory that is read a little later, and arrays given by address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["float32_at", "prefetch"]

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


def _float32_at(_context: Any, address: Any) -> tuple[Any, Callable[..., Any]]:
    """Return an address as a pointer to float32, for :func:`numba.carray`; only in compiled functions.

    Whoever passes the address keeps the array alive.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    pointer: Any = types.CPointer
    return pointer(types.float32)(address), generate


float32_at = cast("Callable[[int], Any]", intrinsic(_float32_at))
prefetch = cast("Callable[[NDArray[Any], int], None]", intrinsic(_prefetch))
