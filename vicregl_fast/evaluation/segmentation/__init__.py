"""Judging a backbone by the classes of pixels."""
