"""Tests of vicregl_fast.evaluation."""
