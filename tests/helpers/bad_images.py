"""Images that nobody should take: what they are, their bytes, and words of the reason that is given."""

import struct
import zlib
from io import BytesIO

from PIL import Image


def bomb(side: int = 60_000) -> bytes:
    """The first bytes of a square PNG; with the usual side it would unpack to 10.8 GB."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**6)))


def blank(width: int, height: int, kind: str = "jpeg") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height)).save(buffer, kind)
    return buffer.getvalue()


def bad_images(image: bytes) -> dict[str, tuple[bytes, str]]:
    """One of each kind, made of a good one."""
    png = BytesIO()
    Image.open(BytesIO(image)).save(png, "png")
    return {
        "text instead of an image": (b"no image at all", "text, not a JPEG"),
        "a PNG that is cut off": (png.getvalue()[:-400], "a PNG that is cut off"),
        "a JPEG without its end": (image[: len(image) // 3], "a JPEG that is cut off"),
        "an empty file": (b"", "empty"),
        "a bomb": (bomb(), "too many pixels"),
    }
