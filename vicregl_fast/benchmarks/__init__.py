"""How fast the parts are: each measurement as a row for people and for programs."""
