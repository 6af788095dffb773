"""The VICRegL loss: which views are compared, statistics of the global batch, feature matching, the two criteria."""
