"""Kernels that start with everything imported: forked from one process that has done it once for all tests.

Each is a process of its own, as any kernel is, that dies with its notebook; only the seconds that it would spend on
importing are spared. JupyterLab finds it as ``python3``. Run as a program, this file is either end of it::

    python kernels.py serve SOCKET           # imports, says "ready", and forks a kernel for whoever asks
    python kernels.py kernel SOCKET FILE     # what JupyterLab starts, interrupts and kills: asks, and stands for it

It imports nothing of the tests: a kernel finds the package as one that JupyterLab starts by itself does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _import_what_kernels_need() -> None:
    # Not ONNX Runtime, which starts a thread when it is imported: threads do not live on in a fork.
    import IPython.core.completer
    import matplotlib.pyplot as plt
    import onnx
    import plotly.graph_objects
    from ipykernel import kernelapp, zmqshell

    import trtcal_widgets
    import trtcal_widgets.sample
    import trtcal_widgets.widgets

    for name in trtcal_widgets.__all__:  # each loads its module
        getattr(trtcal_widgets, name)
    used = IPython.core.completer, plt, onnx, kernelapp, zmqshell, trtcal_widgets.widgets
    assert all(used)
    assert plotly.graph_objects.FigureWidget


def _serve(path: str) -> None:
    """Fork a kernel for each connection, until this process is ended."""
    import gc

    _import_what_kernels_need()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no one waits for them: whoever asked sees the connection end
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            asking, _ = server.accept()
            with asking:
                message, descriptors, _, _ = socket.recv_fds(asking, 1 << 20, 2)
                if os.fork() == 0:
                    server.close()
                    _be_a_kernel(asking, json.loads(message), descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)


def _be_a_kernel(asking: socket.socket, how: dict, descriptors: list[int]) -> None:
    """Run the kernel in the place of the process that asks, and end with it; does not return."""
    with suppress(BaseException):
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor, standard in zip(descriptors, (1, 2), strict=True):
            os.dup2(descriptor, standard)
        os.chdir(how["cwd"])
        os.environ.clear()
        os.environ.update(how["environ"])
        asking.sendall(f"{os.getpid()}\n".encode())

        def end_with_it() -> None:
            asking.recv(1)
            os._exit(1)

        threading.Thread(target=end_with_it, daemon=True).start()
        from ipykernel import kernelapp

        sys.argv = ["ipykernel_launcher.py", "-f", how["file"]]
        kernelapp.launch_new_instance()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _stand_for_a_kernel(path: str, file: str) -> None:
    """Ask for a kernel, pass on what interrupts it, and end when it does."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        # The kernel's parent is not this process, and is not to be watched.
        environ = {name: value for name, value in os.environ.items() if name != "JPY_PARENT_PID"}
        how = {"cwd": os.getcwd(), "environ": environ, "file": file}  # noqa: PTH109 - pathlib takes long to import
        socket.send_fds(connection, [json.dumps(how).encode()], [1, 2])
        kernel = int(connection.makefile().readline())
        signal.signal(signal.SIGINT, lambda *_: os.kill(kernel, signal.SIGINT))
        connection.recv(1)


@contextmanager
def forked_kernels(home: Path) -> Iterator[Path]:
    """Have kernels forked; yields the folder that makes JupyterLab start them, for its ``JUPYTER_PATH``."""
    path = home / "kernels.socket"
    spec = home / "forked" / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = [sys.executable, __file__, "kernel", str(path), "{connection_file}"]
    spec.joinpath("kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Python 3 (ipykernel)", "language": "python"})
    )
    process = subprocess.Popen([sys.executable, __file__, "serve", str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the process that forks kernels ended")
        yield home / "forked"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    del sys.path[0]
    {"serve": _serve, "kernel": _stand_for_a_kernel}[sys.argv[1]](*sys.argv[2:])
