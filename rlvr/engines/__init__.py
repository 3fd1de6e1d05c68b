"""Generating text: one protocol (`base.Generator`), and one file for each engine that implements it."""
