"""Reads and decodes ``.beton`` stores with ffcv."""

import numba
import torch

# Importing ffcv sets the number of threads of torch and of Numba to one for the whole process, which halves the speed
# of training on two cores. This package therefore imports it first, and restores both numbers.
_torch_threads, _numba_threads = torch.get_num_threads(), numba.get_num_threads()
import ffcv.pipeline.compiler  # noqa: E402, F401

torch.set_num_threads(_torch_threads)
numba.set_num_threads(_numba_threads)
