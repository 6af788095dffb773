"""What a crop is: its box, where its cells lie in the stored image, and which cells of two crops match."""
