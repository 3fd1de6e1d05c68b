"""The commands of `rlvr` that take more than a few lines."""
