"""Pictures of a run: its curves, and the matches that its loss selects."""
