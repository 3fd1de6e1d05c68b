"""First step: which part of a completion is its answer."""
