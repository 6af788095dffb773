"""Judges a backbone by classifying whole images."""
