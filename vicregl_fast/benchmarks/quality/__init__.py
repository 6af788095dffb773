"""Time to accuracy: what a backbone has learned, against the seconds and the images that it took."""
