"""Views in the ordinary way, from a folder of images: PIL and torchvision in the workers of a DataLoader."""
