"""The options of commands whose batches other processes may count."""

from __future__ import annotations

import contextlib
from importlib import import_module
from typing import TYPE_CHECKING, Any

from trtcal_widgets.cli.data_source import count
from trtcal_widgets.errors import MissingDependencyError, SessionError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def add_worker_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``, ``--threads``, ``--dask`` and ``--gpu``."""
    group = parser.add_argument_group(
        "workers", "Who counts the batches. The result is the same to the bit for one number of threads."
    )
    group.add_argument("--workers", type=count, metavar="N", help="count batches in so many processes")
    group.add_argument(
        "--threads",
        type=count,
        metavar="N",
        help="threads of ONNX Runtime, in each worker; default: the machine's cores. With --workers 1 is the quickest",
    )
    group.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="count batches on the workers of this Dask scheduler, such as tcp://10.0.0.1:8786; they need model and "
        "images under the same paths",
    )
    group.add_argument(
        "--gpu",
        action="store_true",
        help="run the model and count its tensors on the GPU (the extra onnxruntime-gpu), whose last bits are not the "
        "CPU's; with --workers each process has one of several GPUs in turn",
    )


@contextlib.contextmanager
def open_workers(arguments: argparse.Namespace) -> Iterator[Any]:
    """Give what :meth:`~trtcal_widgets.CalibrationSession.run` takes as ``executor``.

    That is what is open already where ``arguments`` have it as ``executor``: one for many models.
    """
    if getattr(arguments, "executor", None) is not None:
        yield arguments.executor
        return
    if arguments.workers is not None and arguments.dask is not None:
        raise UsageError("--workers starts processes here, --dask uses those of a cluster: give one of them")
    if arguments.dask is None:
        yield arguments.workers
        return
    try:
        distributed: Any = import_module("dask.distributed")
    except ImportError as error:
        raise MissingDependencyError(
            "--dask needs Dask: pip install 'trtcal_widgets[dask]'; --workers N counts on this machine without it"
        ) from error
    try:
        client = distributed.Client(arguments.dask, timeout=_SECONDS)
    except (OSError, ValueError, TypeError) as error:
        raise SessionError(
            f"there is no Dask scheduler at {arguments.dask} ({error}): start one with `dask scheduler`, and workers "
            "with `dask worker ADDRESS`"
        ) from error
    with client:
        if not client.nthreads():
            raise SessionError(f"Dask's scheduler at {arguments.dask} has no worker: `dask worker ADDRESS` starts one")
        yield client


def providers_of(arguments: argparse.Namespace) -> list[str] | None:
    """Return what :class:`~trtcal_widgets.CalibrationSession` takes as ``providers``.

    Raises MissingDependencyError where tensors would be brought to the CPU to be counted.
    """
    if not arguments.gpu:
        return None
    from trtcal_widgets.model.ort import CUDA
    from trtcal_widgets.runners.cuda import cuda_device

    providers = [CUDA]
    if cuda_device(providers) is None:
        raise MissingDependencyError(
            "--gpu needs cuda-bindings or PyCUDA, to count where the model runs: the extra onnxruntime-gpu has all of "
            "it (docs/many-machines.md)"
        )
    return providers


_SECONDS = 20
"""How long a scheduler may take to answer."""
