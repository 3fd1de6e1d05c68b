"""Data files as tokens."""
