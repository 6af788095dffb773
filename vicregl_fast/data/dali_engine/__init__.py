"""Reads stores of JPEGs and decodes them with NVIDIA DALI, on a GPU or on the CPU."""

from dataprep.errors import UserError

try:
    import nvidia.dali  # noqa: F401
except ImportError as error:
    raise UserError(
        "the DALI engine needs NVIDIA DALI, which is not installed: run scripts/setup.sh, or "
        "pip install '.[dali]' (CUDA 13) or '.[dali-cuda12]', or choose another --data.engine"
    ) from error
