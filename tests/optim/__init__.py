"""Tests of the optimisers and the schedule."""
