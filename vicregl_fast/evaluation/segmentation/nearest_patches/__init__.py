"""Segmentation without training: each cell of a map is classified by the training cells nearest to it."""
