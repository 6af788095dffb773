"""Other libraries at the work that the engines do, each called the way its own documents show."""
