"""Arguments that cannot be meant, refused in words: ``None`` for a path, a list for a number, a name that is no text.

What Python itself says about them (``expected str, bytes or os.PathLike object, not NoneType``) names neither the
argument nor what to pass.
"""

from __future__ import annotations

import os
import stat
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import shorten_middle
from trtcal_widgets.errors import TrtcalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection


def kind_of(value: Any) -> str:
    """Return what a value is, for a message: ``None``, ``the class int``, ``a list``, ``an array``."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = "array" if hasattr(value, "__array__") and not hasattr(value, "__index__") else type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def path_text(value: Any, what: str, error: type[TrtcalError] = UsageError) -> str:
    """Return a path as text.

    ``what``: what the path is of, with its article: ``"a calibration cache"``. Raises TrtcalError if it is no path,
    empty, or holds a NUL character.
    """
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise error(f"the path of {what} is needed (a text or a Path), not {kind_of(value)}")
    text = os.fsdecode(value)
    if not text:
        raise error(f"the path of {what} is needed, and this text is empty")
    if "\0" in text:
        raise error(f"the path of {what} cannot hold a NUL character: {text!r}")
    return text


def to_path(value: Any, what: str, error: type[TrtcalError] = UsageError) -> Path:
    """Return a path; see :func:`path_text`."""
    return Path(path_text(value, what, error))


def is_folder(path: Path, error: type[TrtcalError]) -> bool | None:
    """Return whether a path is a folder, None where nothing is there.

    Raises ``error`` if the path cannot be looked at: its name is too long, a folder on the way is closed
    to us.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as cause:
        why = (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
        shown = shorten_middle(str(path), 200)
        raise error(f"{shown} cannot be looked at: {why}. Check the path and its permissions") from cause


def number(value: Any, what: str) -> float:
    """Return a number as a float; nan and the infinities are let through.

    Raises UsageError if it is text, an array of several numbers, or no number at all.
    """
    if isinstance(value, (str, bytes, bool, complex)):
        raise UsageError(f"{what} is a number, not {value!r}")
    if getattr(value, "ndim", 0):  # older NumPy takes an array of one number for it, and warns
        raise UsageError(f"{what} is a number, not {kind_of(value)}")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{what} is a number, not {kind_of(value)}") from None


def whole_number(value: Any, what: str, least: int | None = None) -> int:
    """Return a whole number as an int.

    Raises UsageError if it is none, or smaller than ``least``.
    """
    at_least = "" if least is None else f" of at least {least}"
    try:
        whole = None if isinstance(value, bool) else index(value)
    except TypeError:
        whole = None
    if whole is None or (least is not None and whole < least):
        shown = repr(value) if isinstance(value, (str, int, float)) else kind_of(value)
        raise UsageError(f"{what} is a whole number{at_least}, not {shown}")
    return whole


def one_of(value: Any, choices: Collection[str], what: str) -> str:
    """Return a word that is one of several.

    Raises UsageError if it is another word, or no text.
    """
    if not isinstance(value, str) or value not in choices:
        *some, last = map(repr, choices)
        shown = repr(value) if isinstance(value, (str, int, float, type(None))) else kind_of(value)
        raise UsageError(f"{what} must be {', '.join(some)} or {last}, not {shown}")
    return value
