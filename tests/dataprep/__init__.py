"""Tests of the dataprep package."""
