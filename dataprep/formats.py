"""Which kinds of image files are taken, and what to say of a file that is none of them."""

JPEG_EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".mpo"})

DEEP_EXTENSIONS = frozenset({".png", ".apng", ".tif", ".tiff", ".ppm", ".pgm", ".pnm", ".jp2", ".j2k"})
"""Those of files that may hold more than eight bits a channel when they are decoded."""

IMAGE_EXTENSIONS = JPEG_EXTENSIONS | DEEP_EXTENSIONS | {".webp", ".gif", ".bmp", ".dib", ".pbm", ".avif", ".tga"}
"""The extensions by which a folder's images are found. What such a file is, its content says."""

MAX_PIXELS = 300_000_000
"""Pixels of an image that is still decoded, if nothing else is said: twice those of the largest cameras."""

PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "ICO")
"""What is read, in Pillow's names. Its other readers are for documents, or for formats that nobody trains on."""

LATER_FORMATS = {"AVIF": "11.3"}
"""What is read where Pillow is of this version at least."""

UNMARKED_FORMATS = {".tga": "TGA"}
"""Formats whose files do not say what they are, so that the extension decides."""

_CODECS = {"WEBP": "webp", "JPEG 2000": "jpg_2000", "AVIF": "avif"}  # the names of PIL.features
_FOREIGN = {
    "HEIC": "convert it to JPEG or PNG",
    "JPEG XL": "convert it to JPEG or PNG",
    "PDF": "convert its pages to JPEG or PNG",
    "SVG": "draw it as PNG",
    "Photoshop": "save it as PNG",
    "a web page": "download the image itself",
}


def foreign(data: bytes) -> str | None:
    """The reason why Pillow cannot read a file although its content is of a known kind; None if there is none."""
    kind = _kind(data[:512])
    if kind in _CODECS and not _has_codec(_CODECS[kind]):
        return f"this Pillow cannot read {kind}; install Pillow from PyPI (pip install --upgrade pillow), which can"
    if kind in _FOREIGN:
        return f"it is {kind}, which Pillow cannot read; {_FOREIGN[kind]}"
    return None


def _kind(start: bytes) -> str | None:
    if start[4:8] == b"ftyp":
        brands = start[8:64]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        return "HEIC" if any(brand in brands for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")) else None
    if start[8:12] == b"WEBP":
        return "WEBP"
    marks = {
        b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
        b"\xff\x4f\xff\x51": "JPEG 2000",
        b"\xff\x0a": "JPEG XL",
        b"\0\0\0\x0cJXL ": "JPEG XL",
        b"%PDF": "PDF",
        b"8BPS": "Photoshop",
    }
    for mark, kind in marks.items():
        if start.startswith(mark):
            return kind
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return "SVG"
    return "a web page" if text.startswith((b"<!doctype html", b"<html")) else None


def _has_codec(codec: str) -> bool:
    from PIL import features

    return codec in features.get_supported()
