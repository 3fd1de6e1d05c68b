"""A pure function: rewards as many words as the ground truth says, with partial credit for coming close."""


def word_count(completion: str, answer: str, **context: object) -> float:
    """1.0 for the exact number of words, less by 0.1 for every word too many or too few, never below 0."""
    return max(0.0, 1.0 - 0.1 * abs(len(completion.split()) - int(answer)))
