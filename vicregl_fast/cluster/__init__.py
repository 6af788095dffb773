"""Training as jobs of a cluster, by submitit: their options, how they are submitted, and what each task does."""
