"""Makes views in the ordinary way, for comparison: Pillow and torchvision in the worker processes of a DataLoader."""
