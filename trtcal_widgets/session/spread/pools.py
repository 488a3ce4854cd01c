"""What can run a session's batches elsewhere: executors of any make, Dask, or just a number of processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from importlib import import_module
from numbers import Integral
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import kind_of, whole_number
from trtcal_widgets.common.cores import MOST_CORES, available_cores
from trtcal_widgets.errors import SessionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


class Pool:
    """Workers of whatever kind.

    ``executor``: a :class:`concurrent.futures.Executor` (processes, threads, loky, MPI); a ``dask.distributed.Client``;
    a number of processes to start for this run; or a function that makes an executor. ``workers``: how many batches can
    be worked on at a time. ``environments``: gives what the environments of processes that are started here say, in
    turn (a GPU each, say); called for a number of processes alone. ``in_this_process``: whether workers are threads
    here, which share the model. Raises UsageError if it is none of them.
    """

    def __init__(self, executor: Any, environments: Callable[[], Sequence[Mapping[str, str]]] = list) -> None:
        self._given = executor
        self._client: Any = None
        self._make: Callable[[], Any] | None = None
        if isinstance(executor, Integral) and not isinstance(executor, bool):
            n = whole_number(executor, "the number of workers", 1)
            if n > MOST_CORES:
                raise UsageError(f"{n} workers are more than any machine has cores: use {available_cores()}, say")
            told = environments()
            self._make = lambda: _processes(n, told)
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
        self._asked: Future[int] | None = None  # how many workers there are
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
            if not self._is_connected():
                raise SessionError(_CLOSED)
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
                with _no_interrupts() if self._owned else contextlib.nullcontext():
                    return self._executor.submit(function, *arguments)
        except BrokenExecutor:
            raise
        except Exception as error:
            if self._client is not None and not self._is_connected():
                raise SessionError(f"{_CLOSED}. What was recorded is kept") from error
            if not isinstance(error, RuntimeError):
                raise
            raise SessionError(f"the executor takes no more work ({error}): give one that is open") from error

    def _is_connected(self) -> bool:
        return bool(getattr(self._client, "status", "running") == "running")

    def check(self) -> None:
        """Raise SessionError if a Dask client was closed: what it was given may never come back."""
        if self._is_closed():
            raise SessionError(f"{_CLOSED}. What was recorded is kept")

    def trouble(self) -> str:
        """Return why nothing comes back, in a sentence; empty where that is not known, or nothing is wrong.

        A Dask scheduler is asked in another thread, and what it says comes with a later call: it may never answer.
        """
        if self._client is None:
            return ""
        asked = self._asked
        is_open = asked is not None and not asked.done()
        if not is_open:
            self._asked = Future()
            threading.Thread(target=self._ask, args=(self._asked,), daemon=True).start()
        if is_open or not self._is_connected():
            return "The Dask scheduler does not answer: the run goes on when it does."
        return _NO_WORKER if asked is not None and asked.result() == 0 else ""

    def _ask(self, answer: Future[int]) -> None:
        try:
            answer.set_result(len(self._client.nthreads()))
        except Exception:  # noqa: BLE001 - it is closed, or not connected now, which is looked at by itself
            answer.set_result(-1)

    def _is_closed(self) -> bool:
        return getattr(self._client, "status", "running") in ("closing", "closed")

    def forget(self, futures: list[Future[Any]]) -> None:
        """Let go of work that nobody waits for any more."""
        if self._is_closed():  # it has let go of all, and would print a traceback for each
            return
        for future in futures:
            with contextlib.suppress(Exception):
                future.cancel()

    def renew(self) -> None:
        """Replace an executor that is broken: one of the standard library takes no more work once a process died."""
        if self._client is not None:
            self.workers = self._count()
            return
        if self._owned:
            _end(self._executor)
        self._executor = self._open() if self._make is not None else _like(self._executor, self.workers)
        self._owned = True

    def close(self, *, at_once: bool = False) -> None:
        """End the processes that were started here; those of the user's executor are the user's.

        ``at_once``: whether what they do is of no use any more.
        """
        if self._owned:
            _end(self._executor, at_once=at_once)


def _processes(n: int, environments: Sequence[Mapping[str, str]]) -> Executor:
    context = multiprocessing.get_context("spawn")
    if not environments:
        return ProcessPoolExecutor(n, context)
    return ProcessPoolExecutor(n, context, _take_environment, (context.Value("i", 0), environments))


def _take_environment(taken: Any, environments: Sequence[Mapping[str, str]]) -> None:
    """Begin a process: it has the next of the environments."""
    with taken.get_lock():
        place = taken.value
        taken.value += 1
    os.environ.update(environments[place % len(environments)])


_ENDS_BY_ITSELF = (3, 11, 5)
"""The Python from which on an executor whose processes are gone closes its pipe (python/cpython#94777). Closed here as
well, at the same moment, the number would be closed twice, and the second time it may be another pipe's."""

_PATIENCE = 1.0
"""Seconds that an older one is given."""

_NO_WORKER = "The Dask cluster has no worker now: the run goes on when one comes."
_CLOSED = "the Dask client is closed: give one that is connected"


def _end(executor: Executor, *, at_once: bool = False) -> None:
    """Have an executor end when what it does now is done, or at once; loky's cannot be told to let go of the rest."""
    processes = list((getattr(executor, "_processes", None) or {}).values()) if at_once else []
    manager = getattr(executor, "_executor_manager_thread", None)
    reader: Any = getattr(getattr(executor, "_call_queue", None), "_reader", None)
    try:
        executor.shutdown(wait=False, cancel_futures=True)
    except TypeError:
        executor.shutdown(wait=False)
    for process in processes:
        with contextlib.suppress(AttributeError, OSError, ValueError):
            process.terminate()
    if processes and manager is not None and sys.version_info < _ENDS_BY_ITSELF:
        manager.join(_PATIENCE)
        if manager.is_alive():  # it waits for a batch to be taken, which nobody does any more
            reader.close()


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Have processes that start now know nothing of Ctrl-C, also while they begin; here it comes when this is over."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_dask(given: Any) -> bool:
    return type(given).__module__.partition(".")[0] == "distributed" and hasattr(given, "get_executor")


def _like(broken: Executor, workers: int) -> Executor:
    """Return workers of the same kind in place of an executor's that has lost one."""
    if type(broken).__module__.partition(".")[0] == "loky":  # its processes do not need the script's main guard
        made: Executor = import_module("loky").ProcessPoolExecutor(workers)
        return made
    initializer = getattr(broken, "_initializer", None)
    arguments = getattr(broken, "_initargs", ()) if initializer is not None else ()
    if isinstance(broken, ThreadPoolExecutor):
        return ThreadPoolExecutor(workers, initializer=initializer, initargs=arguments)
    context = getattr(broken, "_mp_context", None)
    if not isinstance(context, multiprocessing.context.BaseContext):
        context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer, arguments)


def is_loss(error: BaseException) -> bool:
    """Whether an error says that a worker was lost, not that its work failed."""
    if isinstance(error, BrokenExecutor | CancelledError):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"KilledWorker", "FutureCancelledError", "CancelledError", "CommClosedError"})
