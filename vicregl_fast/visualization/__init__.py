"""Pictures: a run's curves, the matches that its loss selects, and the views that each engine makes."""
