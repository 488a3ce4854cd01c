"""What ``tools/run_on_tensorrt.py`` runs: each row of its table is a function."""
