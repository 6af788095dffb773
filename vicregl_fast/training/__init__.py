"""The training loop and what surrounds it: precision, processes, signals, checkpoints, logs."""
