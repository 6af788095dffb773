"""SPDL: FFmpeg's JPEG decoder on threads, in a pipeline that is built anew for every pass over the images."""

from collections.abc import Callable, Sequence

import numpy as np
import spdl.io
from spdl.pipeline import PipelineBuilder

from vicregl_fast.benchmarks.peers.work import Call, PeerWork

SIDE = 224
"""Pixels of a side to which SPDL's own example resizes images."""


def spdl_calls(work: PeerWork) -> dict[str, Call]:
    """``decode``: whole images. ``decode_resize_224``: images fitted into squares, in batches, as its example does.

    Raises:
        RuntimeError: there are no libraries of an FFmpeg that it knows.
    """
    spdl.io.decode_config()  # loads FFmpeg, which importing does not
    return {
        "decode": lambda: _run([[image] for image in work.images], decode_whole, work),
        f"decode_resize_{SIDE}": lambda: _run(work.jpegs, decode_resize, work),
    }


def decode_whole(jpegs: Sequence[bytes]) -> list[np.ndarray]:
    """Decodes images to uint8 [H, W, 3] each."""
    as_rgb = spdl.io.get_video_filter_desc(pix_fmt="rgb24")
    return [spdl.io.to_numpy(spdl.io.load_image(jpeg, filter_desc=as_rgb)) for jpeg in jpegs]


def decode_resize(jpegs: Sequence[bytes]) -> np.ndarray:
    """Decodes n images, resizes them with their aspect kept, and fills up with black: uint8 [n, 224, 224, 3]."""
    return spdl.io.to_numpy(spdl.io.load_image_batch(jpegs, width=SIDE, height=SIDE, pix_fmt="rgb24"))


def _run(
    source: Sequence[Sequence[bytes]],
    stage: Callable[[Sequence[bytes]], Sequence[np.ndarray] | np.ndarray],
    work: PeerWork,
) -> int:
    """Passes groups of images through a pipeline of one stage, and returns the number of images that came out."""
    pipeline = (
        PipelineBuilder()
        .add_source(source)
        .pipe(stage, concurrency=work.workers, max_failures=0)
        .add_sink(work.batch_size)
        .build(num_threads=work.workers)
    )
    with pipeline.auto_stop():
        return sum(map(len, pipeline))
