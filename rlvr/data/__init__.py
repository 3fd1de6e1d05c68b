"""Rows of files as tokens."""
