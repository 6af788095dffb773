"""Which images of a mixed store are kept as pixels: a pure function of their place in the source."""

import hashlib

DIGEST_BYTES = 8


def kept_as_pixels(place: int, share: float) -> bool:
    """Whether image ``place`` belongs to the share (0 to 1) that is stored as pixels.

    A larger share keeps the images of a smaller one.
    """
    digest = hashlib.blake2b(place.to_bytes(8, "little"), digest_size=DIGEST_BYTES).digest()
    return int.from_bytes(digest, "little") < share * 256**DIGEST_BYTES
