"""Views on the CPU by Numba kernels, a sample a thread; what they compute is said in ``augment.reference``."""
