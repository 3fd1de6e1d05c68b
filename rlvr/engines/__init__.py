"""Generating text. One Protocol (`base.Generator`), and one file for each engine behind it."""
