"""The contents of a run folder (lock, checkpoints, ledger, metrics), and the display of progress."""
