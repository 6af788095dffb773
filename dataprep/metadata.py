"""What a JPEG or PNG file holds beside its pixels: read where it matters, taken out where it is in the way."""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

ORIENTATION_TAG = 0x0112  # of EXIF
ORIENTATIONS = range(1, 9)  # 1 is upright; other values mean nothing

_EXIF = b"Exif\0\0"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_SOI, _EOI, _SOS, _APP0, _APP1, _APP14, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE, 0xFE
_STANDALONE = {0x01, _SOI, *range(0xD0, 0xD8)}  # markers without a length
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # not a stuffed byte, a fill byte or a restart


class Segment(NamedTuple):
    """A marker segment of a JPEG: its marker's second byte, and where it begins and ends in the file."""

    marker: int
    start: int
    end: int


def without_metadata(data: bytes) -> bytes:
    """A JPEG or PNG without what does not belong to its pixels, except for the EXIF orientation.

    Other files, and those whose parts cannot be told apart, are returned as they are.
    """
    try:
        if data.startswith(_PNG_SIGNATURE):
            return _bare_png(data)
        return bare_jpeg(data, exif_orientation(_jpeg_exif(data)))
    except (struct.error, ValueError):
        return data


def bare_jpeg(data: bytes, orientation: int = 1) -> bytes:
    """A JPEG without comments, without APP segments other than APP0 and APP14, and without what follows its end.

    Those two decide how the colours are coded, so that the pixels stay what they are, whatever decodes them.

    Raises:
        ValueError: the segments of the file cannot be told apart.
    """
    header = list(_header_segments(data))
    kept = [data[part.start : part.end] for part in header if not _is_metadata(part.marker)]
    exif = b"" if orientation == 1 else b"\xff\xe1" + _sized(_EXIF + _exif_of(orientation))
    return b"".join([b"\xff\xd8", exif, *kept, data[header[-1].end : _jpeg_end(data, header[-1].end)]])


def has_ballast(data: bytes, pixels: int, spared: int) -> bool:
    """Whether more than ``spared`` bytes of a JPEG may be metadata or lie behind its end; quick, and rarely wrong."""
    try:
        header = sum(part.end - part.start for part in _header_segments(data) if _is_metadata(part.marker))
    except ValueError:
        return False
    return header > spared or (len(data) > spared and not data.endswith(b"\xff\xd9")) or len(data) > spared + pixels


def exif_orientation(exif: bytes) -> int:
    """Finds the orientation in EXIF data, of which everything else may be damaged; 1 where it says none."""
    tiff = exif.removeprefix(_EXIF)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    try:
        if order is None:
            return 1
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == ORIENTATION_TAG:
                return value if kind == 3 and value in ORIENTATIONS else 1
    except struct.error:
        return 1  # it is cut short
    return 1


def _jpeg_exif(data: bytes) -> bytes:
    for part in _header_segments(data):
        if part.marker == _APP1 and data.startswith(_EXIF, part.start + 4):
            return data[part.start + 4 : part.end]
    return b""


def _header_segments(data: bytes) -> Iterator[Segment]:
    """The segments of a JPEG from after its start to its first scan, whose header is the last."""
    if not data.startswith(b"\xff\xd8"):
        raise ValueError("it does not begin as a JPEG does")
    position = 2
    while True:
        segment = _segment(data, position)
        yield segment
        if segment.marker == _SOS:
            return
        position = segment.end


def _segment(data: bytes, start: int) -> Segment:
    position = start
    while data[position : position + 2] == b"\xff\xff":  # fill bytes may stand before a marker
        position += 1
    if len(data) < position + 4 or data[position] != 0xFF or data[position + 1] in _STANDALONE | {0, _EOI}:
        raise ValueError("there is no segment where one should be")
    end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    if end > len(data):
        raise ValueError("a segment is cut short")
    return Segment(data[position + 1], start, end)


def _jpeg_end(data: bytes, scan: int) -> int:
    """Where a JPEG ends whose first scan begins at ``scan``."""
    position = scan
    while found := _MARKER_IN_SCAN.search(data, position):
        if data[found.start() + 1] == _EOI:
            return found.end()
        position = _segment(data, found.start()).end
    raise ValueError("it has no end")


def _is_metadata(marker: int) -> bool:
    return (_APP0 < marker <= 0xEF and marker != _APP14) or marker == _COM


def _sized(content: bytes) -> bytes:
    return struct.pack(">H", len(content) + 2) + content


def _exif_of(orientation: int) -> bytes:
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, ORIENTATION_TAG, 3, 1, orientation, 0, 0)


def _bare_png(data: bytes) -> bytes:
    parts = [_PNG_SIGNATURE]
    position = len(_PNG_SIGNATURE)
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind in _PNG_PIXELS:
            parts.append(data[position:end])
        elif kind == b"eXIf" and (orientation := exif_orientation(data[position + 8 : end - 4])) != 1:
            parts.append(_png_chunk(kind, _exif_of(orientation)))
        position = end
    return b"".join(parts)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
