"""From folders of images to stores that the loading engines read."""
