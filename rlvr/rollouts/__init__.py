"""From problems to groups with advantages: which problems, who plays them, who grades them, what they are worth."""
