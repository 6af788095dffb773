"""The VICRegL criterion: statistics of the global batch, directions between views, feature matching."""
