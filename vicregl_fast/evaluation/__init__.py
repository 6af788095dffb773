"""Measures how good a backbone's features are: k-NN classification, and linear segmentation of frozen features."""
