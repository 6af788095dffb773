"""Features of images as files for other programs, and a picture of them."""
