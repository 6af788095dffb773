"""Weights of other origin in, and a run's backbone out: each format is a file, and all meet in the network's names."""
