"""The ways to take a LARS step: all have one state and the same result up to rounding; ``loop`` is the reference."""
