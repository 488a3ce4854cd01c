"""How the kernels are compiled: without the GIL, and kept on disk wherever numba finds a place for them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compiled"]

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def compiled(**options: Any) -> Callable[[_Function], _Function]:
    """Compile a function with numba on its first call: no GIL, no Python objects, cached on disk.

    The cache lies beside the package or, where that cannot be written, in the user's cache folder or the one that
    ``NUMBA_CACHE_DIR`` names. Where none of them can be written (a locked-down container) numba refuses to cache
    at all; the kernels then work as well, but every process compiles them again.

    Parameters
    ----------
    **options
        Further options of :func:`numba.njit`, such as ``fastmath``.
    """

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
