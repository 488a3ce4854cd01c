"""Files that are not what they say: damaged bytes, sizes that no honest file has."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from trtcal_widgets.errors import TrtcalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ALWAYS = 1 << 28
"""Bytes that any compressed file may become: 256 MB."""

_FACTOR = 100
"""How many times its size a larger one may become. Activations and images shrink to a half or a tenth."""


@contextmanager
def damage_as(error: type[TrtcalError], what: str, advice: str) -> Iterator[None]:
    """Raise ``error`` for whatever goes wrong while bytes that nobody vouches for are taken apart.

    Parsers of the standard library, NumPy and protobuf raise what they come upon: RecursionError, OverflowError,
    tokenize.TokenError, MemoryError among others. Errors of this package go through, and so do interrupts.

    ``what``: what is wrong, for people: ``"x.npy is damaged or no NumPy file"``.
    """
    try:
        yield
    except TrtcalError:
        raise
    except PermissionError as cause:
        where = f"{cause.filename} " if cause.filename else what.partition(": ")[0] + " "
        raise error(f"{where}cannot be read: {cause.strerror or cause}. Check its permissions.") from cause
    except MemoryError as cause:
        raise error(f"{what}: it asks for more memory than there is. {advice}") from cause
    except Exception as cause:  # damaged bytes can lead a parser anywhere
        reason = str(cause).split("\n", 1)[0][:200] or type(cause).__name__
        raise error(f"{what} ({reason}). {advice}") from cause


def most_expanded(path: Path) -> int:
    """Return how many bytes a compressed file may become."""
    return max(_ALWAYS, _FACTOR * path.stat().st_size)


def check_expansion(path: Path, expanded: int, what: str, error: type[TrtcalError], *, advice: str) -> None:
    """Refuse a compressed file that would become far larger than files of data do, before anything is unpacked.

    ``expanded``: bytes that its headers promise. ``what``: what would become so large, for the message: ``"array
    'x'"``.
    """
    stored = path.stat().st_size
    if expanded > most_expanded(path):
        raise error(
            f"{path}: {what} would take {expanded / 1e6:,.0f} MB, and the file has {stored / 1e6:,.3g} MB: it is "
            f"damaged, or made to fill the memory. {advice}"
        )
