"""Which builder is asked: TensorRT where it can build, else TensorRT for RTX, which builds without a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import one_of
from trtcal_widgets.errors import DeviceError, MissingDependencyError
from trtcal_widgets.trt.log import capture
from trtcal_widgets.trt.network import create_builder
from trtcal_widgets.trt.versions import Features, features, load_rtx, load_tensorrt

if TYPE_CHECKING:
    from collections.abc import Callable

BUILDERS = ("auto", "tensorrt", "rtx")
"""``auto``: TensorRT where it is installed and finds its GPU, else TensorRT for RTX."""


@dataclass(frozen=True)
class Installed:
    """A builder that starts here.

    ``trt``: its Python module. ``has``: what it has. ``is_rtx``: whether it is TensorRT for RTX. ``note``: why it is
    not the one that would have been asked first; empty where it is.
    """

    trt: Any
    has: Features
    is_rtx: bool
    note: str = ""

    @property
    def label(self) -> str:
        """Its name and version, for people."""
        return f"TensorRT {'for RTX ' if self.is_rtx else ''}{self.has.version}"


def find_builder(which: str = "auto") -> Installed:
    """Find a builder that starts.

    Raises MissingDependencyError if it is not installed; says what to install. Raises DeviceError if TensorRT was asked
    for by name, or is the only one, and there is no usable GPU. Raises UsageError for an unknown name.
    """
    one_of(which, BUILDERS, "builder")
    if which == "rtx":
        return _started(load_rtx, is_rtx=True)
    try:
        return _started(load_tensorrt, is_rtx=False)
    except MissingDependencyError as error:
        if which == "tensorrt":
            raise
        return _rtx_instead(error, "")
    except DeviceError as error:
        if which == "tensorrt":
            raise
        return _rtx_instead(error, "TensorRT is installed but found no GPU that it could build on")


def _started(load: Callable[[], Any], *, is_rtx: bool) -> Installed:
    trt = load()
    with capture(trt) as (logger, book):
        create_builder(trt, logger, book)  # raises where there is no GPU for it
    return Installed(trt, features(trt), is_rtx)


def _rtx_instead(error: Exception, note: str) -> Installed:
    try:
        found = _started(load_rtx, is_rtx=True)
    except MissingDependencyError as lacking:
        raise type(error)(f"{error} To check a model here without a GPU: {lacking}") from lacking
    return Installed(found.trt, found.has, found.is_rtx, note)
