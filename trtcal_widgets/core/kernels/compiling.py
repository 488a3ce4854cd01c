"""How the kernels are compiled: without the GIL, and kept on disk wherever numba finds a place for them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from numba import njit
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering, NopythonTypeInference

if TYPE_CHECKING:
    from collections.abc import Callable

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def compiled(*, inner: bool = False, **options: Any) -> Callable[[_Function], _Function]:
    """Compile a function with numba on its first call: no GIL, no Python objects, cached on disk.

    The cache lies beside the package or, where that cannot be written, in the user's cache folder or the one that
    ``NUMBA_CACHE_DIR`` names. Where none of them can be written (a locked-down container) numba refuses to cache
    at all; the kernels then work as well, but every process compiles them again.

    ``inner``: only other kernels call it, and it is optimised, made machine code and kept as a part of them. That by
    itself as well would be half of the time to compile it. From Python it cannot be called. numba rewrites nothing in
    it: expressions of whole arrays, which are slow to compile in any case, would be slow to run too.
    ``**options``: further options of :func:`numba.njit`, such as ``fastmath``.
    """
    options = {"nogil": True, "no_cfunc_wrapper": True, "pipeline_class": _Compiler, **options}
    if inner:
        options |= {"no_cpython_wrapper": True, "no_rewrites": True, "pipeline_class": _InnerCompiler}
        return njit(**options)  # type: ignore[no-any-return]

    def decorate(function: _Function) -> _Function:
        try:
            kernel = njit(cache=True, **options)(function)
        except RuntimeError as error:
            logging.getLogger(__name__).warning(
                "%s; it is compiled in every process. Let NUMBA_CACHE_DIR name a writable folder to avoid that.", error
            )
            kernel = njit(**options)(function)
        return kernel  # type: ignore[no-any-return]

    return decorate


class _Remembering:
    """numba's typing context for one function: it asks once what a call of some types is; ``x[j]`` is there often."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._known: dict[tuple[Any, ...], Any] = {}

    def __getattr__(self, name: str) -> Any:
        """Return what the context itself has."""
        return getattr(self._context, name)

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        """Return the signature of a call."""
        if kws:
            return self._context.resolve_function_type(func, args, kws)
        return self._once("resolve_function_type", (func, tuple(args)), func, args, kws)

    def resolve_setitem(self, target: Any, index: Any, value: Any) -> Any:
        """Return the signature of an assignment to an item."""
        return self._once("resolve_setitem", (target, index, value), target, index, value)

    def resolve_getattr(self, typ: Any, attr: str) -> Any:
        """Return the type of an attribute."""
        return self._once("resolve_getattr", (typ, attr), typ, attr)

    def _once(self, name: str, asked: tuple[Any, ...], *arguments: Any) -> Any:
        key = (name, *asked)
        if key not in self._known:
            self._known[key] = getattr(self._context, name)(*arguments)
        return self._known[key]


@register_pass(mutates_CFG=True, analysis_only=False)  # type: ignore[no-untyped-call]
class _Inference(NopythonTypeInference):
    """numba's own pass, in two thirds of its time."""

    _name = "remembering_type_inference"

    def run_pass(self, state: Any) -> bool:
        context = state.typingctx
        state.typingctx = _Remembering(context)
        try:
            return bool(super().run_pass(state))  # type: ignore[no-untyped-call]
        finally:
            state.typingctx = context


class _Part(JITCodeLibrary):
    """Code that becomes part of what calls it."""

    def _optimize_final_module(self) -> None:
        """Leave it to the whole."""

    def _finalize_final_module(self) -> None:
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)  # type: ignore[no-untyped-call]
class _InnerLowering(NativeLowering):
    """numba's own pass, whose result is not made machine code."""

    _name = "inner_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)  # type: ignore[no-untyped-call]
        state.flags.no_compile = True
        super().run_pass(state)  # type: ignore[no-untyped-call]
        # Callers find a kernel by its entry for Python. This one has none: any callable of its own stands for that.
        state["cr"] = state.cr._replace(cfunc=[library].index)
        state.targetctx.insert_user_function(state.cr.cfunc, state.cr.fndesc, [library])
        return True


class _Compiler(CompilerBase):
    """numba's own compiler but for some passes."""

    _others: ClassVar[dict[Any, Any]] = {NopythonTypeInference: _Inference}

    def define_pipelines(self) -> list[Any]:
        usual = DefaultPassBuilder.define_nopython_pipeline(self.state)  # type: ignore[no-untyped-call]
        usual.passes[:] = [(self._others.get(own, own), why) for own, why in usual.passes]
        usual._finalized = False  # noqa: SLF001 - numba builds its pipelines in one go, and looks through them at the end
        usual.finalize()
        return [usual]


class _InnerCompiler(_Compiler):
    """The same for helpers."""

    _others: ClassVar[dict[Any, Any]] = {**_Compiler._others, NativeLowering: _InnerLowering}  # noqa: SLF001 - its own
