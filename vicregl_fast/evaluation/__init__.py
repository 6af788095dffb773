"""What a backbone's features are worth: k-NN classification and frozen linear segmentation."""
