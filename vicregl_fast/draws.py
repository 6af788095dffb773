"""Which draw of a sample's counter decides what, so that no two choices ever share a random word.

A counter is (epoch, sample, view, draw) and gives four words (see ``philox``). What is new takes a number that is free:
another meaning for an old one would change every run.
"""

CROP_TRIES = 10
"""Draws 0 to CROP_TRIES - 1 of a view are the tries of its crop."""
FLIP_DRAW = 10
FACTORS_DRAW = 11
JITTER_DRAW = 12
FINISH_DRAW = 13

FIRST_RESERVED_VIEW = 1 << 31
"""Counters whose view is this or above belong to no view of an image."""
SEGMENTATION_VIEW = FIRST_RESERVED_VIEW
"""The reserved view whose words distort the training images of linear segmentation."""
ORDER_VIEW = 0xFFFFFFFF
"""The reserved view whose words order an epoch."""
