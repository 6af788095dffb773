"""Makes views in the ordinary way, for comparison: Pillow and torchvision in worker processes, as in a DataLoader."""
