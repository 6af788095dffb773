"""Backbones, heads and the network that training wraps around them."""
