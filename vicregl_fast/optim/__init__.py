"""LARS and AdamW, and the learning-rate schedule."""
