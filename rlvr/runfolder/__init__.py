"""What lies in a run folder: its lock, checkpoints, ledger and metrics; and what is shown on the way."""
