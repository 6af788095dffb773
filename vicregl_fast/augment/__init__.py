"""Turns decoded images into views: recipes, each sample's random parameters, and the backends that apply them."""
