"""JupyterLab as a user has it, and a page of it in a headless browser. No fixed sleeps: everything is waited for."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import trtcal_widgets

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str | None:
    """The system's Chromium or Chrome, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if path := shutil.which(name):
            return path
    return None


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def jupyterlab(root: Path, home: Path, *, extension: bool = True):
    """Run JupyterLab over ``root`` with a home of its own; yields its address.

    The extension is the one that lies in the package, whether it is installed beside this JupyterLab or not.
    """
    port = _free_port()
    extensions = home / "labextensions"
    extensions.mkdir()
    (extensions / "trtcal_widgets").symlink_to(Path(trtcal_widgets.__file__).parent / "labextension")
    if not extension:
        (home / "config" / "labconfig").mkdir(parents=True)
        page_config = {"disabledExtensions": {"trtcal_widgets": True}}
        (home / "config" / "labconfig" / "page_config.json").write_text(json.dumps(page_config))
    settings = home / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True})
    )
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")},
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "user-settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=", "--ServerApp.password=", "--ServerApp.disable_check_xsrf=True",
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={root}",
        "--LabApp.expose_app_in_browser=True", f"--LabApp.extra_labextensions_path={extensions}",
    ]  # fmt: skip
    log = (home / "lab.log").open("w")
    process = subprocess.Popen(command, env=env, cwd=root, stdout=log, stderr=subprocess.STDOUT)
    try:
        _await_server(f"http://127.0.0.1:{port}/api/status", process, home / "lab.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _await_server(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"JupyterLab ended: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own server
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not answer: {log.read_text()[-2000:]}")


def write_notebook(path: Path, cells: list[str]) -> None:
    """Write a notebook of code cells."""
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


def await_file(page, path: Path, seconds: float = 60) -> None:
    """Wait until a kernel has made a file; the page lives on meanwhile."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path.name} was not made")
        page.wait_for_timeout(20)


class NotebookPage:
    """A notebook in JupyterLab in a browser page."""

    def __init__(self, page, url: str, name: str, *, theme: str = "light") -> None:
        self.page = page
        # A workspace of its own, and as if new: JupyterLab would open the notebooks of the test before as well, and
        # give the file browser the share of the window that it had in the narrowest one.
        page.goto(f"{url}/lab/workspaces/{Path(name).stem}/tree/{name}?reset")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=90_000)
        if theme == "dark":
            self.set_theme("dark")

    def set_theme(self, theme: str) -> None:
        name = "JupyterLab Dark" if theme == "dark" else "JupyterLab Light"
        self.command("apputils:change-theme", {"theme": name})
        wanted = "true" if theme == "light" else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light={wanted}]", state="attached", timeout=30_000)

    def command(self, name: str, arguments: dict | None = None) -> None:
        """Run a command of JupyterLab, which ``expose_app_in_browser`` lets the page reach."""
        # The promise is not waited for: "run all" keeps it until the last cell has run.
        self.page.evaluate("([n, a]) => { window.jupyterapp.commands.execute(n, a); }", [name, arguments or {}])

    def save(self) -> None:
        """Save the notebook and wait until it is no longer marked as changed."""
        self.command("docmanager:save")
        self.page.wait_for_selector(".lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current:not(.jp-mod-dirty)")

    def run_all(self) -> None:
        """Run all cells and wait until each has a prompt number: an idle kernel says nothing about that."""
        cells = self.page.locator(".jp-Notebook .jp-CodeCell")
        count = cells.count()
        # Asked to run before it has a kernel, JupyterLab asks which one: wait until the status bar names it.
        self.page.wait_for_function(
            "() => /\\| Idle/.test(document.querySelector('#jp-main-statusbar')?.textContent ?? '')", timeout=60_000
        )
        self.command("runmenu:run-all")
        deadline = time.monotonic() + 180
        again = time.monotonic() + 8
        while time.monotonic() < deadline:
            prompts = self.page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt").all_text_contents()
            if len(prompts) >= count and all(any(c.isdigit() for c in p) for p in prompts):
                return
            if time.monotonic() > again and all(not p.strip(" []:") for p in prompts):
                self.command("runmenu:run-all")
                again = time.monotonic() + 8
            self.page.wait_for_timeout(100)
        raise TimeoutError(f"the cells did not run: {prompts}")
