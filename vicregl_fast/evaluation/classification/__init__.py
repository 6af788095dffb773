"""Judging a backbone by the classes of whole images."""
