"""JupyterLab as a user has it, and a page of it in a headless browser. No fixed sleeps: everything is waited for."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
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
def jupyterlab(root: Path, home: Path, *, extension: bool = True, kernels: Path | None = None):
    """Run JupyterLab over ``root`` with a home of its own; yields its address.

    The extension is the one that lies in the package, whether it is installed beside this JupyterLab or not.
    ``kernels`` is a folder of kernels that are found before those that are installed.
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
        "JUPYTER_PATH": str(kernels or ""),
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


class Desk:
    """A page of JupyterLab in which one test after the other works, as long as each leaves it in order.

    A page takes seconds to load, a notebook in it tenths of one. Where a test failed or left the page for another
    address, or where it cannot be put in order, the next one has a new page.
    """

    def __init__(self, browser, url: str) -> None:
        self.url = url
        self._context = browser.new_context(viewport=VIEWPORT)
        self._context.set_default_timeout(60_000)  # two tests run at a time
        # anywidget gives a model two seconds to load: how long a busy machine takes is nothing to assert.
        self._context.add_init_script(
            "const after = AbortSignal.timeout; AbortSignal.timeout = (ms) => after.call(AbortSignal, 60 * ms);"
        )
        self._page = None

    def page(self):
        """Return the page, in order."""
        if self._page is None:
            self._page = self._context.new_page()
            self._page.goto(f"{self.url}/lab/workspaces/desk?reset")
            await_lab(self._page)
            self._page.evaluate(_KEEP_ORDER)
        return self._page

    def leave(self, *, in_order: bool) -> None:
        """End the kernels, and put the page in order or away."""
        end_kernels(self.url)
        page, self._page = self._page, None
        if in_order and page is not None and not page.is_closed():
            page.set_viewport_size(VIEWPORT)
            page.mouse.move(0, 0)
            if within(page, 60, _PUT_IN_ORDER):
                self._page = page
        for other in self._context.pages:
            if other is not self._page:
                other.close()


VIEWPORT = {"width": 1280, "height": 1400}
_KEEP_ORDER = """() => {
  const { shell } = window.jupyterapp;
  window.__desk = { sizes: shell._hsplitPanel.relativeSizes(), left: shell.leftCollapsed };
}"""
_PUT_IN_ORDER = """async () => {
  const app = window.jupyterapp, desk = window.__desk, open = [...app.shell.widgets('main')];
  if (!desk || document.querySelector('.jp-Dialog, .lm-Menu')) return false;
  // Editors of other files have more to do when they are closed, and may fail at it later.
  if (open.some((widget) => !widget.sessionContext && !widget.id.startsWith('launcher'))) return false;
  open.forEach((widget) => widget.dispose());
  if (document.body.dataset.jpThemeLight !== 'true')
    await app.commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' });
  if (app.shell.leftCollapsed !== desk.left) app.shell.expandLeft();
  app.shell._hsplitPanel.setRelativeSizes(desk.sizes);
  return document.body.dataset.jpThemeLight === 'true';
}"""


def await_lab(page) -> None:
    """Wait until JupyterLab is there."""
    page.wait_for_function("() => window.jupyterapp?.restored.then(() => true)", timeout=120_000)
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=90_000)


def end_kernels(url: str) -> None:
    """End every kernel of a server."""
    with urllib.request.urlopen(f"{url}/api/kernels") as answer:  # noqa: S310 - our own server
        kernels = json.load(answer)
    for kernel in kernels:
        request = urllib.request.Request(f"{url}/api/kernels/{kernel['id']}", method="DELETE")  # noqa: S310
        with suppress(urllib.error.HTTPError), urllib.request.urlopen(request):  # noqa: S310 - it may have ended
            pass


def within(page, seconds: float, script: str, argument: object = None):
    """Return what a function in the page gives in the end; Playwright would wait for its promise for ever."""
    late = f"new Promise((_, fail) => setTimeout(() => fail(new Error('not within {seconds} s')), {1000 * seconds}))"
    return page.evaluate(f"(argument) => Promise.race([({script})(argument), {late}])", argument)


def command(page, name: str, arguments: dict | None = None) -> None:
    """Run a command of JupyterLab to its end; ``expose_app_in_browser`` lets the page reach it."""
    script = "([name, values]) => window.jupyterapp.commands.execute(name, values).then(() => {})"
    within(page, 120, script, [name, arguments or {}])


def answered(page) -> None:
    """Wait until the kernel has done all that the page asked of it so far, and the page has heard what it said.

    Messages are kept in order: when the kernel answers one that is sent now, those before it are done.
    """
    within(page, 120, _ANSWERED)


_ANSWERED = """async () => {
  await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestKernelInfo();
}"""


def box_of(place) -> dict[str, float]:
    """Scroll to an element and return its box: the mouse hears nothing beyond the window's edge."""
    place.scroll_into_view_if_needed()
    return place.bounding_box()


class NotebookPage:
    """A notebook in JupyterLab in a browser page."""

    def __init__(self, page, url: str, name: str, *, theme: str = "light") -> None:
        self.page, self.url, self.name = page, url, name
        if not page.url.startswith(f"{url}/"):
            page.goto(f"{url}/lab?reset")
            await_lab(page)
        if theme == "dark":
            self.set_theme("dark")
        within(page, 60, _OPEN, name)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")

    def open_again(self) -> None:
        """Load the whole page anew, with the notebook in a workspace of its own."""
        self.page.goto(f"{self.url}/lab/workspaces/again/tree/{self.name}?reset")
        await_lab(self.page)
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell")

    def set_theme(self, theme: str) -> None:
        name = "JupyterLab Dark" if theme == "dark" else "JupyterLab Light"
        self.command("apputils:change-theme", {"theme": name})
        wanted = "true" if theme == "light" else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light={wanted}]", state="attached", timeout=30_000)

    def command(self, name: str, arguments: dict | None = None) -> None:
        """Run a command of JupyterLab to its end."""
        command(self.page, name, arguments)

    def save(self) -> None:
        """Save the notebook, as it is now: a picture that comes a moment later marks it as changed again."""
        self.command("docmanager:save")

    def run_all(self) -> None:
        """Run all cells, to the end of the last."""
        assert within(self.page, 240, _RUN_ALL) == "", "the cells ran"


_OPEN = """async (path) => {
  const panel = await window.jupyterapp.commands.execute('docmanager:open', { path, factory: 'Notebook' });
  await panel.context.ready;
}"""
# Asked to run before it has a kernel, JupyterLab asks which one.
_RUN_ALL = """async () => {
  const panel = window.jupyterapp.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
  if (await window.jupyterapp.commands.execute('notebook:run-all-cells')) return '';
  const outputs = panel.content.widgets.flatMap((cell) => cell.model.outputs?.toJSON() ?? []);
  return outputs.filter((o) => o.output_type === 'error').map((o) => o.traceback.join('\\n')).join('\\n') || 'not run';
}"""
