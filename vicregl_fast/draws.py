"""Which draw of a sample's counter decides what, so that no two choices ever share a random word.

A counter is (epoch, sample, view, draw) and gives four words (see ``philox``). A new choice takes a number or a word
that is free: the words 1 to 3 of draw 10, 2 and 3 of draw 12, and all of draw 14 and above are. Never give a number
another meaning: this would change the results of every run. ``augment/operations.py`` says what each word of draws 10
to 13 decides.
"""

CROP_TRIES = 10
"""Draws 0 to CROP_TRIES - 1 of a view are the tries of its crop."""
FLIP_DRAW = 10
"""Whether the view is flipped."""
FACTORS_DRAW = 11
"""The factors of the colour jitter."""
JITTER_DRAW = 12
"""Whether the colour jitter happens, and in which order."""
FINISH_DRAW = 13
"""Whether the view is turned grey, blurred or solarised, and the blur's sigma."""

FIRST_RESERVED_VIEW = 1 << 31
"""Counters with this view number or a higher one belong to no view of an image."""
SEGMENTATION_VIEW = FIRST_RESERVED_VIEW
"""The reserved view whose words decide how training images of linear segmentation are distorted."""
HOLDING_OUT_EPOCH = 1 << 30
"""The epoch, which no training reaches, whose order decides which images are held out to choose a learning rate."""
ORDER_VIEW = 0xFFFFFFFF
"""The reserved view whose words order the samples of an epoch."""
BANK_DRAW = 2
"""The draw of ``ORDER_VIEW`` that decides which cells of training images k-NN segmentation keeps; draws 0 and 1 order
epochs. The epoch of its counter is the number of the image."""
