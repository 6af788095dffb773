"""Sound image files of every format that is taken, as bytes, and of layouts that Pillow does not write."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.copy().save(buffer, kind, **options)  # a copy, since the settings of a JPEG stay with an image
    return buffer.getvalue()


def every_format(rgb: np.ndarray, small_loss: int = 95) -> dict[str, bytes]:
    """File name -> an image of uint8 ``rgb`` [h, w, 3] in every format and mode; other frames show its negative."""
    image = Image.fromarray(rgb)
    second = Image.fromarray(255 - rgb)
    jpeg = {"quality": small_loss, "subsampling": 0}
    alpha = image.copy()
    alpha.putalpha(image.getchannel(0))
    grey, cmyk, bits = image.convert("L"), image.convert("CMYK"), image.convert("L").convert("1")
    palette = image.quantize(128)
    files = {name: encoded(image, "JPEG", **jpeg) for name in ("a.jpg", "a.jpeg", "a.jpe", "a.jif", "a.jfif")}
    files |= {
        "progressive.jpg": encoded(image, "JPEG", progressive=True, **jpeg),
        "restarts.jpg": encoded(image, "JPEG", restart_marker_blocks=3, **jpeg),
        "grey.jpg": encoded(grey, "JPEG", **jpeg),
        "cmyk.jpg": encoded(cmyk, "JPEG", quality=small_loss),
        "rgb.jpg": encoded(image, "JPEG", keep_rgb=True, **jpeg),
        "two.mpo": encoded(image, "MPO", save_all=True, append_images=[second.copy()], **jpeg),
        "two.jpg": encoded(image, "MPO", save_all=True, append_images=[second.copy()], **jpeg),
        "a.png": encoded(image, "PNG"),
        "grey.png": encoded(grey, "PNG"),
        "alpha.png": encoded(alpha, "PNG"),
        "grey_alpha.png": encoded(alpha.convert("LA"), "PNG"),
        "palette.png": encoded(palette, "PNG"),
        "bits.png": encoded(bits, "PNG"),
        "two.apng": encoded(image, "PNG", save_all=True, append_images=[second.copy()]),
        "lossless.webp": encoded(image, "WEBP", lossless=True),
        "two.webp": encoded(image, "WEBP", lossless=True, save_all=True, append_images=[second.copy()]),
        "a.gif": encoded(palette, "GIF"),
        "two.gif": encoded(palette, "GIF", save_all=True, append_images=[second.quantize(128)]),
        "a.bmp": encoded(image, "BMP"),
        "palette.bmp": encoded(palette, "BMP"),
        "a.dib": encoded(image, "DIB"),
        "a.tif": encoded(image, "TIFF"),
        "lzw.tif": encoded(image, "TIFF", compression="tiff_lzw"),
        "deflate.tiff": encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg.tif": encoded(image, "TIFF", compression="jpeg", quality=small_loss),
        "two.tif": encoded(image, "TIFF", save_all=True, append_images=[second.copy()]),
        "cmyk.tif": encoded(cmyk, "TIFF"),
        "a.ppm": encoded(image, "PPM"),
        "a.pnm": encoded(image, "PPM"),
        "a.pgm": encoded(grey, "PPM"),
        "a.pbm": encoded(bits, "PPM"),
        "a.jp2": encoded(image, "JPEG2000"),
        "a.j2k": encoded(image, "JPEG2000", no_jp2=True),
        "a.avif": encoded(image, "AVIF", quality=95),
        "a.tga": encoded(image, "TGA"),
        "rle.tga": encoded(alpha, "TGA", compression="tga_rle"),
    }
    return files


def tiff(
    bands: np.ndarray, photometric: int, separate: bool = False, order: str = "<", bits: int | None = None
) -> bytes:
    """An uncompressed TIFF of numbers [h, w, bands]; of separate planes, or with ``bits`` packed 12 bits."""
    height, width, count = bands.shape
    sample_format = {"u": 1, "i": 2, "f": 3}[bands.dtype.kind]
    stored = bands.astype(bands.dtype.newbyteorder(order))
    content = (stored.transpose(2, 0, 1) if separate else stored).tobytes()
    if bits == 12:
        first, second = bands.reshape(-1, 2).astype(int).T
        content = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8).tobytes()
    planes = count if separate else 1
    extra = count - (3 if photometric == 2 else 1)
    tags: dict[int, tuple[str, list[int]]] = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [bits or 8 * bands.dtype.itemsize] * count),
        259: ("H", [1]),
        262: ("H", [photometric]),
        273: ("I", [0] * planes),
        277: ("H", [count]),
        278: ("I", [height]),
        279: ("I", [len(content) // planes] * planes),
        284: ("H", [2 if separate else 1]),
        338: ("H", [0] * extra),
        339: ("H", [sample_format] * count),
    }
    if not extra:
        del tags[338]
    start = 8 + 2 + 12 * len(tags) + 4
    outside = sum(len(values) * struct.calcsize("=" + code) for code, values in tags.values() if _long(code, values))
    tags[273] = ("I", [start + outside + plane * (len(content) // planes) for plane in range(planes)])
    entries, long = b"", b""
    for tag, (code, values) in tags.items():
        value = struct.pack(order + code * len(values), *values)
        if _long(code, values):
            long += value
            value = struct.pack(order + "I", start + len(long) - len(value))
        entries += struct.pack(order + "HHI", tag, {"H": 3, "I": 4}[code], len(values)) + value.ljust(4, b"\0")
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HIH", 42, 8, len(tags))
    return head + entries + bytes(4) + long + content


def _long(code: str, values: list[int]) -> bool:
    return len(values) * struct.calcsize("=" + code) > 4


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(png: bytes, kind: bytes, content: bytes, last: bool = False) -> bytes:
    """A PNG with one more chunk, after its header or before its end."""
    at = len(png) - 12 if last else 33
    return png[:at] + png_chunk(kind, content) + png[at:]


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, from uint16 [h, w, 1 to 4]."""
    height, width, channels = values.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def pnm(values: np.ndarray, maxval: int) -> bytes:
    """A PGM or PPM of 16 bits a channel, from uint16 [h, w] or [h, w, 3]."""
    magic = "P6" if values.ndim == 3 else "P5"
    return f"{magic} {values.shape[1]} {values.shape[0]} {maxval}\n".encode() + values.astype(">u2").tobytes()


def segment(marker: int, content: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with further segments behind its first one, APP0."""
    end = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:end] + b"".join(segments) + jpeg[end:]
