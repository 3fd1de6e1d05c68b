"""Third step: tokens as a tree, and a tree as LaTeX."""
