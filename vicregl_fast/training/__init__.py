"""The training loop and what it needs: precision, processes, signals, checkpoints, validation, logs."""
