"""What can run a session's batches elsewhere: executors of any make, Dask, or just a number of processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import warnings
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import kind_of, whole_number
from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.errors import SessionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


class Pool:
    """Workers of whatever kind.

    ``executor``: a :class:`concurrent.futures.Executor` (processes, threads, loky, MPI); a ``dask.distributed.Client``;
    a number of processes to start for this run; or a function that makes an executor. ``workers``: how many batches can
    be worked on at a time. ``in_this_process``: whether workers are threads here, which share the model. Raises
    UsageError if it is none of them.
    """

    def __init__(self, executor: Any) -> None:
        self._given = executor
        self._client: Any = None
        self._make: Callable[[], Any] | None = None
        if isinstance(executor, int) and not isinstance(executor, bool):
            n = whole_number(executor, "the number of workers", 1)
            self._make = lambda: ProcessPoolExecutor(n, multiprocessing.get_context("spawn"))
        elif isinstance(executor, Executor):
            pass
        elif _is_dask(executor):
            self._client = executor
        elif callable(executor) and not isinstance(executor, type):
            self._make = executor
        else:
            raise UsageError(
                "executor is one of concurrent.futures, a dask.distributed.Client, a number of processes, or a "
                f"function that makes an executor, not {kind_of(executor)}"
            )
        self._owned = self._make is not None
        self._executor = self._open()
        self.workers = self._count()
        self.in_this_process = isinstance(self._executor, ThreadPoolExecutor)

    def _open(self) -> Executor:
        if self._make is not None:
            made = self._make()
            if not isinstance(made, Executor):
                raise UsageError(f"executor= made {kind_of(made)}, which is no executor of concurrent.futures")
            return made
        if self._client is not None:
            if getattr(self._client, "asynchronous", False):
                raise UsageError("an asynchronous Dask client cannot be waited for: give Client(address)")
            if getattr(self._client, "status", "running") != "running":
                raise SessionError("the Dask client is closed: give one that is connected")
            executor: Executor = self._client.get_executor(pure=False)
            return executor
        assert isinstance(self._given, Executor)
        return self._given

    def _count(self) -> int:
        if self._client is not None:
            return max(1, sum(map(int, self._client.nthreads().values())))
        for name in ("_max_workers", "num_workers"):  # the standard library's and loky's; mpi4py's
            n = getattr(self._executor, name, None)
            if isinstance(n, int) and n > 0:
                return n
        return available_cores()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a worker call a function.

        Raises SessionError if the executor takes no more work; BrokenExecutor if a worker of it has died.
        """
        try:
            with warnings.catch_warnings():
                # Dask would rather have large batches scattered; those could not be sent again.
                warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
                return self._executor.submit(function, *arguments)
        except BrokenExecutor:
            raise
        except RuntimeError as error:
            raise SessionError(f"the executor takes no more work ({error}): give one that is open") from error

    def renew(self) -> None:
        """Replace an executor that is broken: one of the standard library takes no more work once a process died."""
        if self._client is not None:
            self.workers = self._count()
            return
        if self._owned:
            _end(self._executor)
        self._executor = self._open() if self._make is not None else _like(self._executor, self.workers)
        self._owned = True

    def close(self) -> None:
        """End the processes that were started here; those of the user's executor are the user's."""
        if self._owned:
            _end(self._executor)


def _end(executor: Executor) -> None:
    """Have an executor end when what it does now is done; loky's cannot be told to let go of the rest."""
    try:
        executor.shutdown(wait=False, cancel_futures=True)
    except TypeError:
        executor.shutdown(wait=False)


def _is_dask(given: Any) -> bool:
    return type(given).__module__.partition(".")[0] == "distributed" and hasattr(given, "get_executor")


def _like(broken: Executor, workers: int) -> Executor:
    """Return processes in place of an executor's that has lost one."""
    if type(broken).__module__.partition(".")[0] == "loky":  # its processes do not need the script's main guard
        made: Executor = import_module("loky").ProcessPoolExecutor(workers)
        return made
    context = getattr(broken, "_mp_context", None)
    if not isinstance(context, multiprocessing.context.BaseContext):
        context = multiprocessing.get_context("spawn")
    initializer = getattr(broken, "_initializer", None)
    arguments = getattr(broken, "_initargs", ())
    return ProcessPoolExecutor(workers, context, initializer, arguments if initializer is not None else ())


def is_loss(error: BaseException) -> bool:
    """Whether an error says that a worker was lost, not that its work failed."""
    if isinstance(error, BrokenExecutor | CancelledError):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"KilledWorker", "FutureCancelledError", "CancelledError", "CommClosedError"})


def forget(futures: list[Future[Any]]) -> None:
    """Let go of work that nobody waits for any more."""
    for future in futures:
        with contextlib.suppress(Exception):
            future.cancel()


def this_process() -> int:
    """Return what tells this process from its workers."""
    return os.getpid()
