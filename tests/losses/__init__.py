"""Tests of the VICRegL criterion."""
