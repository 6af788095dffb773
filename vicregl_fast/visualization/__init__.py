"""Pictures: of a run's curves, of the matches that its loss selects, of engines' views, of what feature maps hold."""
