"""From decoded images to views: the recipe, each sample's parameters, and the backends that apply them."""
