"""torchcodec's JPEG decoder (libjpeg-turbo), on threads."""

from torchcodec.decoders import decode_jpeg

from vicregl_fast.benchmarks.peers.threads import DecodingThreads
from vicregl_fast.benchmarks.peers.work import Call, PeerWork


def torchcodec_calls(work: PeerWork) -> dict[str, Call]:
    """``decode``: whole images, as the engines decode them."""
    threads = DecodingThreads(decode_jpeg, work.workers)
    return {"decode": lambda: threads.decode(work.jpegs)}
