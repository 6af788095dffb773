"""torchvision's JPEG decoder (libjpeg-turbo), on threads; its successor is torchcodec's."""

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from vicregl_fast.benchmarks.peers.threads import DecodingThreads
from vicregl_fast.benchmarks.peers.work import Call, PeerWork


def torchvision_io_calls(work: PeerWork) -> dict[str, Call]:
    """``decode``: whole images, as the engines decode them."""
    threads = DecodingThreads(decode, work.workers)
    return {"decode": lambda: threads.decode(work.jpegs)}


def decode(jpeg: bytes) -> Tensor:
    """Decodes an image to uint8 [3, H, W]."""
    return decode_jpeg(torch.frombuffer(bytearray(jpeg), dtype=torch.uint8), ImageReadMode.RGB)
