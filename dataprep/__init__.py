"""Converts folders of images to stores that the decoding engines read, checks stores, and draws the demo's images."""
