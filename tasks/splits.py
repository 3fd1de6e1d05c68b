"""Which generated problems are held out: a hash of their content decides, so the split is the same for every seed."""

import hashlib


def is_in_share(text: str, share: float) -> bool:
    """Whether `text` belongs to a fixed pseudo-random `share` of all texts."""
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * 2**32
