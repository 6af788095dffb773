"""Public data sets of segmentation, in the folders that they come in: which images, which masks, what values mean."""
