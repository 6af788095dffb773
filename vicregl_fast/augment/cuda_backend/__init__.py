"""Views on a GPU by three Numba CUDA kernels; what they compute is said in ``augment.reference``.

1. ``resize.fill_weights`` writes a table of the resize's weights: for every sample, axis and position.
2. ``resize.resize`` reads the crop and writes the resized, flipped view, which consists of bytes, as both passes round
   to whole levels. The vertical pass stays in shared memory. It adds up the grey that contrast blends with.
3. ``finish.finish`` reads these bytes with the blur's margin, does all the rest in shared memory and writes the view.

No fewer passes would do: contrast needs a sum over the whole view before any of its pixels is done, and the bytes
between the kernels are the smallest form of what the second one knows. All arithmetic is float32.

What bounds the speed, counted and not measured, with recipe ``two``, views of 224 pixels and images of 500 x 375: on
average a view reads 304 kB of its image (54% of the area), writes and reads 25 kB of weights and 151 kB of bytes, and
writes 602 kB of float32 or 301 kB of 16 bits: 1.26 or 0.96 MB, so 2.5 or 1.9 MB an image. (Tiles' margins are read
more than once, but from the caches.) Per view the resize multiplies 2.3 million times (windows of 6 pixels along
either axis), at 4.4 instructions each; the blur 3.8 million times (sigma 1), at 2; colour takes some 80 instructions a
pixel on 1.5 times the pixels. These 24 million instructions of a thread, 0.75 million of a warp, keep a GPU of 132
processors that start 4 a cycle at 1.7 GHz busy for 0.8 µs, the bytes its memory of 3.3 TB/s for 0.4 µs: instructions
are the bound.
"""
