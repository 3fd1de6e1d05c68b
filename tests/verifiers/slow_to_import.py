"""A verifier whose module takes longer to import than a check may take."""

import time

time.sleep(1.5)


def check(completion: str, answer: str, **context: object) -> bool:
    return completion == answer
