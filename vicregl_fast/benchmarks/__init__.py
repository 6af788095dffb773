"""Measures how fast the parts of the project are; each result is a row, for people and for programs."""
