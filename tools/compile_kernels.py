"""Compile the numba kernels once and keep them, as the first use of each would.

    python tools/compile_kernels.py

Processes that start beside each other with an empty cache would each compile them: CI runs this before the tests.
"""

from trtcal_widgets import CalibrationSession, Evaluation, sample
from trtcal_widgets.debug import Int8Simulation
from trtcal_widgets.doctor import examine


def main() -> None:
    """Calibrate the sample, and ask for what is computed of it: thresholds, the doctor's draws, errors of tensors."""
    for mode in ("two-pass", "tensorrt"):
        with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=100, range_mode=mode) as s:
            s.run()
            for method in ("mse", "percentile:99.9", "entropy"):
                examine(s, method=method)
    Int8Simulation(sample.model_path(), s).compare(Evaluation(sample.test_images(), batch_size=100, max_batches=1))


if __name__ == "__main__":
    main()
