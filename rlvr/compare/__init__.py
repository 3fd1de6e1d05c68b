"""`rlvr compare`: variants and seeds as runs in separate processes."""
