"""What a run leaves: its folder, checkpoints and metrics, and the networks that are loaded from it."""
