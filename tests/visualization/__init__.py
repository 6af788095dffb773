"""Tests of vicregl_fast.visualization."""
