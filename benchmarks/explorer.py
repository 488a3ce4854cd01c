"""The explorer at 3,000 tensors: time in the kernel and bytes to the browser, per click.

    python benchmarks/explorer.py [--tensors 3000] [--write]

Selecting a tensor and dropping a dragged line are done through the messages that the browser sends; what is timed is
everything in the kernel until all panels are up to date. Medians of 20. A step back to a view that was not looked at
yet draws the chosen tensor first; the rows of all tensors are made beside the kernel's main thread. Medians of 4.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def timed(actions) -> tuple[float, float, int]:
    """Return median milliseconds, median bytes and largest bytes of some actions."""
    from tests.support.traffic import count_traffic

    seconds, sizes = [], []
    for action in actions:
        with count_traffic() as traffic:
            started = time.perf_counter()
            action()
            seconds.append(time.perf_counter() - started)
        sizes.append(traffic.bytes)
    return 1000 * statistics.median(seconds), statistics.median(sizes), max(sizes)


def report(n: int) -> str:
    from tests.widgets.front_end import HeldExecutor, drag_line
    from tests.widgets.synthetic import synthetic_session
    from trtcal_widgets import CalibrationExplorer

    session = synthetic_session(n, batches=8)
    session.run()
    beside = HeldExecutor()
    explorer = CalibrationExplorer(session, executor=beside)
    beside.go()
    names = session.calibrated
    chosen = [names[(7 + 131 * k) % len(names)] for k in range(20)]
    select = timed([lambda name=name: session.update(selected=name) for name in chosen])

    def drop(name: str, k: int):
        session.update(selected=name)
        target = session.amax(name, "minmax") * (0.5 + k / 50)
        return lambda: drag_line(explorer, target)

    drops = []
    for k, name in enumerate(chosen):
        action = drop(name, k)
        drops.append(timed([action]))
    dropped = (statistics.median(d[0] for d in drops), statistics.median(d[1] for d in drops), max(d[2] for d in drops))
    steps = [(timed([session.back]), timed([beside.go])) for _ in range(4)]
    back = [tuple(statistics.median(step[k][i] for step in steps) for i in range(3)) for k in range(2)]
    again = timed([lambda at=session.state.position + k: session.update(position=at) for k in range(1, 4)])
    lines = [
        f"{n:,} tensors, 8 batches; {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        "medians of 20.",
        "",
        "| what | ms in the kernel | KB to the browser (median) | KB (largest) |",
        "|---|---:|---:|---:|",
        f"| select a tensor | {select[0]:.0f} | {select[1] / 1e3:.0f} | {select[2] / 1e3:.0f} |",
        f"| drop the dragged line | {dropped[0]:.0f} | {dropped[1] / 1e3:.0f} | {dropped[2] / 1e3:.0f} |",
        f"| one batch back: the chosen tensor | {back[0][0]:.0f} | {back[0][1] / 1e3:.0f} | {back[0][2] / 1e3:.0f} |",
        f"| … and all others anew, beside the main thread | {back[1][0]:.0f} | {back[1][1] / 1e3:.0f} | "
        f"{back[1][2] / 1e3:.0f} |",
        f"| one batch forth again: known from before | {again[0]:.0f} | {again[1] / 1e3:.0f} | {again[2] / 1e3:.0f} |",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tensors", type=int, default=3000)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/explorer.md")
    arguments = parser.parse_args()
    text = report(arguments.tensors)
    print(text)
    if arguments.write:
        target = ROOT / "benchmarks" / "results" / "explorer.md"
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)


if __name__ == "__main__":
    main()
