"""Makes views on a GPU by three Numba CUDA kernels; ``augment.reference`` says what they compute.

1. ``resize.fill_weights`` writes a table of the resize's weights: for every sample, axis and position.
2. ``resize.resize`` reads the crop and writes the resized, flipped view as bytes, since both passes round to whole
   levels. The result of the vertical pass stays in shared memory. The kernel also sums the grey that contrast needs.
3. ``finish.finish`` reads these bytes with a margin for the blur, does all the rest in shared memory, and writes the
   view.

Resizing and finishing cannot be one kernel: contrast needs the mean of a whole view before any of its pixels is done.
Bytes are the smallest form in which the resized view can be handed on. No arithmetic is in float64.

The following bounds on the speed are counted, not measured, for recipe ``two``, views of 224 pixels and images of
500 x 375. On average a view reads 304 kB of its image (54% of the area), writes and reads 25 kB of weights and 151 kB
of bytes, and writes 602 kB of float32 or 301 kB of 16-bit values. This is 1.26 or 0.96 MB a view, 2.5 or 1.9 MB an
image. (Margins of tiles are read more than once, but from caches.) In PTX the threads of a view execute 57 million
instructions: 10 for the vertical pass, 6 for the horizontal one (windows of 6 pixels), 15 to find a thread's source
pixels and for its grey, 12 for colour on 1.5 times the pixels, 11 for a blur of sigma 1, and 3 to begin and to write.
That is 1.8 million instructions of warps. A GPU of 132 processors that each start 4 a cycle, at 1.7 GHz, needs 2 µs
for them, and its memory of 3.3 TB/s needs 0.4 µs for the bytes. So instructions are the bound.
"""
