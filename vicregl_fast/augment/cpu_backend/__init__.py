"""Makes views on the CPU by Numba kernels, one image per thread; ``augment.reference`` says what they compute."""
