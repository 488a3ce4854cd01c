"""Public names of a package that are loaded when they are first asked for (PEP 562), so that importing it is fast."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazy(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``.

    ``homes``: module of trtcal_widgets -> the names that it has, with spaces between; none: the module itself is one.
    """
    home_of = {name: module for module, names in homes.items() for name in names.split() or [module]}

    def load(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: Any = import_module(f"trtcal_widgets.{home_of[name]}")
        if homes[home_of[name]]:
            value = getattr(value, name)
        setattr(sys.modules[package], name, value)
        return value

    return load, lambda: sorted(home_of)
