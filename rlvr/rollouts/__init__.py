"""From problems to groups with advantages: choosing problems, playing them, grading them, and crediting rollouts."""
