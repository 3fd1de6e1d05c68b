"""Variants and seeds as runs, each a process of its own: `rlvr compare`."""
