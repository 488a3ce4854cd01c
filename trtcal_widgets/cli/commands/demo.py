"""``trtcal demo``: the tutorial in JupyterLab, or without a notebook the same calibration as files."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from trtcal_widgets.cli.progress import show_run
from trtcal_widgets.cli.registry import OK, Command
from trtcal_widgets.cli.results import session_table
from trtcal_widgets.cli.terminal import say
from trtcal_widgets.common.files import read_whole, write_atomic
from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.errors import ExportError, MissingDependencyError, TrtcalError

if TYPE_CHECKING:
    import argparse

_NOTEBOOK = "01_explore_calibration.ipynb"
_CACHE, _PICTURE = "calibration.cache", "calibration.png"


def tutorial_path() -> Path:
    """Return where the tutorial notebook lies: in the package, or beside it in a checkout of the repository.

    Raises TrtcalError if it is in neither place.
    """
    package = Path(str(files("trtcal_widgets")))
    for path in (package / "notebooks" / _NOTEBOOK, package.parent / "notebooks" / _NOTEBOOK):
        if path.is_file():
            return path
    raise TrtcalError(f"The tutorial {_NOTEBOOK} is missing from {package}: install trtcal_widgets again with pip.")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--headless", metavar="DIR", help=f"no notebook: write {_CACHE} and {_PICTURE} to DIR and print the table"
    )
    parser.add_argument("--no-open", action="store_true", help="write the notebook without starting JupyterLab")
    parser.add_argument("--force", action="store_true", help="replace a tutorial notebook that you have changed")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.headless is not None:
        return _headless(Path(arguments.headless))
    if not arguments.no_open:
        _require_jupyterlab()
    notebook = _place_notebook(Path.cwd(), force=arguments.force)
    return OK if arguments.no_open else _open(notebook)


def _place_notebook(folder: Path, *, force: bool) -> Path:
    """Write the tutorial into ``folder``; one that was changed since is kept unless ``force``."""
    fresh = read_whole(tutorial_path(), error=TrtcalError, what="the tutorial notebook")
    target = folder / _NOTEBOOK
    if target.exists() and not force:
        same = read_whole(target, error=TrtcalError, what="the notebook") == fresh
        say(
            f"{target} is there already"
            + ("." if same else " and was changed: it is kept. --force replaces it by a fresh copy.")
        )
        return target
    write_atomic(target, fresh)
    say(f"wrote {target}")
    return target


def _require_jupyterlab() -> None:
    if find_spec("jupyterlab") is None:
        raise MissingDependencyError(
            "JupyterLab is not installed, which the tutorial opens in. Install it with: pip install "
            "'trtcal_widgets[demo]'. Without it: trtcal demo --headless DIR, or trtcal demo --no-open "
            "and open the notebook in VS Code."
        )


def _open(notebook: Path) -> int:
    """Run JupyterLab until the user ends it, and return its exit code."""
    # As its start page, not as a file to open: then the address that it prints leads to the notebook as well.
    start = f"--LabApp.default_url=/lab/tree/{notebook.name}"
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={notebook.parent}", start]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # Containers run as root, where JupyterLab would refuse to start.
        command.insert(3, "--allow-root")
    say("starting JupyterLab; Ctrl-C here ends it", flush=True)
    process = subprocess.Popen(command)  # noqa: S603 - our own interpreter and a path that we wrote
    try:
        return process.wait()
    except KeyboardInterrupt:  # JupyterLab has had it too: it asks back and ends itself
        return process.wait()


def _headless(folder: Path) -> int:
    from trtcal_widgets import sample
    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.widgets.explorer.still import explorer_picture

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"The folder {folder} cannot be made: {error.strerror}. Choose another one.") from error
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as session:
        with show_run(session):
            session.run()
        session.update(selected="conv1")
        cache = session.to_cache()
        cache.write(folder / _CACHE)
        write_atomic(folder / _PICTURE, explorer_picture(session))
        say(*session_table(session))
    say(f"\nwrote {printable(str(folder / _CACHE))}: {cache.header}, {count_of(len(cache.rows), 'row')}")
    say(f"wrote {printable(str(folder / _PICTURE))}")
    return OK


COMMAND = Command(
    name="demo",
    summary="open the tutorial in JupyterLab, on a bundled model",
    description=(
        "Write the tutorial notebook into this folder and open it in JupyterLab. It calibrates a bundled\n"
        "LeNet on bundled images; nothing is downloaded and no GPU is needed."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=("trtcal demo", "trtcal demo --headless demo-out"),
)
