"""Decodes ``.beton`` stores by FFCV's JPEG decoder, from a memory map.

FFCV itself is not imported (``dataprep.libffcv`` says why); its shared library is loaded where it is first needed.
"""
