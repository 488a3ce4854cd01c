"""Use an installed package as its users do, with nothing there but what they have: CI runs this beside the wheel.

    python try_wheel.py FOLDER

Every module imports and every public name is there, every command answers, the data that are packed are found, and
the main job runs to its end in ``FOLDER``, which must not be there yet. Run it where the sources are not. Prints what
was tried.
"""

import re
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path
from pkgutil import walk_packages

import trtcal_widgets

DATA = "3c008912"
"""The scale of the sample's input, as TensorRT writes it."""


def try_modules() -> int:
    """Import every module, and get every public name of every package."""
    names = [info.name for info in walk_packages(trtcal_widgets.__path__, "trtcal_widgets.")]
    for name in names:
        if not name.endswith("__main__"):
            module = import_module(name)
            for public in getattr(module, "__all__", ()):
                getattr(module, public)
    return len(names)


def trtcal(*arguments: str) -> str:
    """Run the command that pip has made; return what it prints."""
    command = [str(Path(sys.executable).with_name("trtcal")), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def try_commands(folder: Path) -> None:
    """Ask every command for its help, and take the main job from images to the files that TensorRT takes."""
    assert metadata.version("trtcal_widgets") in trtcal("--version")
    commands = re.findall(r"^    ([a-z-]+)\b", trtcal("--help"), re.MULTILINE)
    assert {"calibrate", "report", "demo"} <= set(commands)
    for command in commands:
        assert trtcal(command, "--help").startswith(f"usage: trtcal {command}"), command
    trtcal("demo", "--headless", str(folder / "mnist"))
    cache = folder / "mnist" / "calibration.cache"
    assert f"data: {DATA}" in cache.read_text().splitlines()
    assert (folder / "mnist" / "calibration.png").stat().st_size > 10_000
    assert DATA in trtcal("show", str(cache))
    model = str(Path(trtcal_widgets.__file__).parent / "sample" / "lenet.onnx")
    trtcal("convert", str(cache), "--to", "qdq", "--model", model, "-o", str(folder / "lenet.qdq.onnx"))


def try_screens(folder: Path) -> None:
    """Make every screen of a session, each with its scripts and styles, and the report."""
    from trtcal_widgets import (
        AccuracyDebugger,
        CacheViewer,
        CalibrationExplorer,
        CalibrationSession,
        DataDoctor,
        Evaluation,
        sample,
    )
    from trtcal_widgets.report import write_report

    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=100) as session:
        session.run()
        debugger = AccuracyDebugger(session, Evaluation(sample.test_images(), batch_size=100, max_batches=1))
        screens = [CalibrationExplorer(session), DataDoctor(session), CacheViewer(session.to_cache()), debugger]
        for screen in screens:
            assert screen.picture().startswith(b"\x89PNG"), screen
            screen.close()
        write_report(session, folder / "report.html")
    compiled = list(Path(trtcal_widgets.__file__).parent.glob("core/kernels/__pycache__/*.nbi"))
    assert len(compiled) > 5, "what is compiled is kept beside the modules"


def main() -> None:
    """Try everything; whatever is missing ends it with a traceback."""
    (given,) = map(Path, sys.argv[1:])
    assert "site-packages" in trtcal_widgets.__file__, f"{trtcal_widgets.__file__} is not installed"
    given.mkdir()
    print(f"{try_modules()} modules import, with every public name")
    try_commands(given)
    print("commands answer, and the sample is calibrated as TensorRT would")
    try_screens(given)
    print("screens and report are made")


if __name__ == "__main__":
    main()
