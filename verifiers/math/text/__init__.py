"""Second step: an answer as a string. Dressing, numbers, words, units and choices; then its tokens."""
