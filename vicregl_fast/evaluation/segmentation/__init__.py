"""Judges a backbone by segmentation: classifying the pixels of images."""
