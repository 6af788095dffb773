"""DALI's pipeline: JPEG bytes in, pixels out; on a GPU where there is one, else on the CPU."""

import torch
from nvidia.dali import fn
from nvidia.dali.pipeline import Pipeline
from nvidia.dali.types import DALIDataType, DALIImageType

JPEGS = "jpegs"


def decoding_pipeline(batch_size: int, workers: int, device: torch.device) -> Pipeline:
    """A pipeline with the input ``jpegs`` (uint8 [bytes] each) that gives whole images, uint8 [H, W, 3] each.

    Views are not cut here: the kernels that distort them cut, too, and so read the same pixels whatever decoded them.
    """
    pipeline = Pipeline(
        batch_size=batch_size,
        num_threads=workers,
        device_id=device.index or 0 if device.type == "cuda" else None,
        prefetch_queue_depth=1,  # a call asks for one batch and waits for it: the loader's thread works ahead
    )
    with pipeline:
        images = fn.decoders.image(
            fn.external_source(name=JPEGS, ndim=1, dtype=DALIDataType.UINT8, device="cpu", no_copy=True),
            device="mixed" if device.type == "cuda" else "cpu",
            output_type=DALIImageType.RGB,
            adjust_orientation=False,  # stored images are upright, and stores give the sizes of the pixels as they lie
            use_fast_idct=True,  # with these two, what libjpeg-turbo decodes is the ffcv engine's to the bit
            jpeg_fancy_upsampling=True,
        )
        pipeline.set_outputs(images)
    return pipeline
