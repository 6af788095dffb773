"""Boxes of crops, where the cells of a crop lie in the stored image, and which cells of two crops match."""
