"""What a run leaves: its folder, checkpoints and metrics, and the networks that can be had from it."""
