"""The DALI pipeline that turns the bytes of JPEGs into pixels, on a GPU or on the CPU."""

import torch
from nvidia.dali import fn
from nvidia.dali.pipeline import Pipeline
from nvidia.dali.types import DALIDataType, DALIImageType

JPEGS = "jpegs"


def decoding_pipeline(batch_size: int, workers: int, device: torch.device) -> Pipeline:
    """Builds a pipeline from the input ``jpegs``, uint8 [bytes] each, to images, uint8 [H, W, 3] each.

    It does not crop: the kernels that make the views do, from complete images, whichever engine decoded them.

    Args:
        batch_size: the most images in a run.
        workers: decoding threads.
        device: decodes, and holds the images.
    """
    pipeline = Pipeline(
        batch_size=batch_size,
        num_threads=workers,
        device_id=device.index or 0 if device.type == "cuda" else None,
        prefetch_queue_depth=1,  # a call waits for its batch; the loader's thread is what works ahead
    )
    with pipeline:
        images = fn.decoders.image(
            fn.external_source(name=JPEGS, ndim=1, dtype=DALIDataType.UINT8, device="cpu", no_copy=True),
            device="mixed" if device.type == "cuda" else "cpu",
            output_type=DALIImageType.RGB,
            adjust_orientation=False,  # stored images are upright, and the store gives their sizes without EXIF turns
            use_fast_idct=True,  # with these two options, libjpeg-turbo gives exactly the ffcv engine's pixels
            jpeg_fancy_upsampling=True,
        )
        pipeline.set_outputs(images)
    return pipeline
