"""Peers that decode give the pixels that Pillow gives, of every image."""

import numpy as np
import pytest

from tests.benchmarks.peers.conftest import distance, jpeg, pixels
from vicregl_fast.benchmarks.peers.threads import DecodingThreads
from vicregl_fast.benchmarks.peers.torchvision_io import decode, torchvision_io_calls
from vicregl_fast.benchmarks.peers.work import PeerWork

WIDE = jpeg(7, 40, 72)


def test_torchvision_decodes(work: PeerWork) -> None:
    assert distance(decode(WIDE).permute(1, 2, 0).numpy(), pixels(WIDE)) < 1
    assert torchvision_io_calls(work)["decode"]() == 6


def test_threads_keep_the_order_of_images(work: PeerWork) -> None:
    made = list(DecodingThreads(decode, 3).batches(work.jpegs))
    assert [len(batch) for batch in made] == [3, 3]
    for batch, jpegs in zip(made, work.jpegs, strict=True):
        for image, stored in zip(batch, jpegs, strict=True):
            assert distance(image.permute(1, 2, 0).numpy(), pixels(stored)) < 1


def test_torchcodec_decodes(work: PeerWork) -> None:
    pytest.importorskip("torchcodec")
    from torchcodec.decoders import decode_jpeg

    from vicregl_fast.benchmarks.peers.torchcodec import torchcodec_calls

    assert distance(decode_jpeg(WIDE).permute(1, 2, 0).numpy(), pixels(WIDE)) < 1
    assert torchcodec_calls(work)["decode"]() == 6


def test_spdl_decodes_and_resizes(work: PeerWork) -> None:
    pytest.importorskip("spdl.io")
    from vicregl_fast.benchmarks.peers.spdl import decode_resize, decode_whole, spdl_calls

    try:
        calls = spdl_calls(work)
    except RuntimeError as error:
        pytest.skip(f"SPDL finds no FFmpeg: {error}")
    assert {name: call() for name, call in calls.items()} == {"decode": 6, "decode_resize_224": 6}
    assert distance(decode_whole([WIDE])[0], pixels(WIDE)) < 4  # FFmpeg spreads colours otherwise
    (square,) = decode_resize([WIDE])
    filled = np.flatnonzero(square.any((1, 2)))
    assert square.shape == (224, 224, 3) and abs(len(filled) - 224 * 40 / 72) <= 2
    assert abs(filled[0] - (223 - filled[-1])) <= 1  # as much black above as below
