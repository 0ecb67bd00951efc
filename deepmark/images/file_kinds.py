"""What a file is, told by its first bytes, for messages about files of the wrong kind."""

import re

JPEG, PNG, WEBP, GIF, BMP = "a JPEG", "a PNG", "a WebP", "a GIF", "a BMP"
TIFF, AVIF, JPEG_2000, PPM = "a TIFF", "an AVIF", "a JPEG 2000", "a PPM"

_SIGNATURES = [
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\xff\xd8\xff", JPEG),
        (rb"\x89PNG", PNG),
        (rb"RIFF....WEBP", WEBP),
        (rb"GIF8[79]a", GIF),
        (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", BMP),
        (rb"II[*+]\0|MM\0[*+]", TIFF),
        (rb"....ftyp(avi[fs]|(mif1|msf1).{0,60}avi[fs])", AVIF),
        (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", JPEG_2000),
        (rb"P[1-6]\s+[#\d]", PPM),
        (rb"....ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)", "a HEIC"),
        (rb"\0\0\0\x0cJXL |\xff\x0a", "a JPEG XL"),
        (rb"8BPS", "a Photoshop file"),
        (rb"....ftyp", "a video"),
        (rb"\x1a\x45\xdf\xa3|RIFF....AVI ", "a video"),
        (rb"\0\x05\x16[\0\x07]", "macOS's data about another file (AppleDouble)"),
        (rb"%PDF-", "a PDF"),
        (rb"%!PS", "a PostScript file"),
        (rb"PK\x03\x04", "a ZIP archive"),
        (rb"\x1f\x8b", "a gzip archive"),
        (rb".{257}ustar", "a tar archive"),
        (rb"\x93NUMPY", "a NumPy array"),
        (rb"PAR1", "a Parquet file"),
        (rb"SQLite format 3\0", "an SQLite database"),
        (rb".{5}\0{3}\{\"", "a safetensors file"),
        (rb"version https://git-lfs", "a pointer of Git LFS, not the file itself"),
        (rb"outs:\s+- (md5|hash)", "a pointer of DVC, not the file itself"),
        (rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg", "an SVG drawing"),
        (rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype )?html", "an HTML page"),
        (rb"(\xef\xbb\xbf)?\s*<\?xml", "XML"),
        (rb"(\xef\xbb\xbf)?\s*[\[{]\s*[\[{\"}\]0-9tfn-]", "JSON"),
    )
]

_FIRST = 1024
"""Bytes that are looked at."""


def kind_of(data: bytes) -> str:
    """The kind of a file with its article, such as "a PNG", "an empty file", "JSON" or "text"; the rest is not read."""
    if not data:
        return "an empty file"
    start = bytes(data[:_FIRST])
    for pattern, kind in _SIGNATURES:
        if pattern.match(start):
            return kind
    if not start.strip(b"\0"):
        return "nothing but zero bytes"
    return "text" if _is_text(start) else "data of no known kind"


def _is_text(start: bytes) -> bool:
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    text = start.decode(encoding, "replace").rstrip("\ufffd")  # the last character may go on after `start`
    return bool(text) and "\ufffd" not in text and all(letter.isprintable() or letter.isspace() for letter in text)


def is_cut(data: bytes) -> bool:
    """Whether the end is missing, for the kinds of images that tell: JPEG, PNG, WebP, BMP, TIFF."""
    kind = kind_of(data)
    if kind == WEBP:
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if kind == BMP:
        return int.from_bytes(data[2:6], "little") > len(data)
    if kind == TIFF:
        return int.from_bytes(data[4:8], "little" if data[:1] == b"I" else "big") > len(data)
    return {PNG: b"IEND", JPEG: b"\xff\xd9"}.get(kind, b"") not in data
