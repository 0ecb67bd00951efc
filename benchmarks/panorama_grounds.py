"""Photographs to stand behind rendered people: views into the panoramas of the npm package @pmndrs/assets.

    curl -O https://registry.npmjs.org/@pmndrs/assets/-/assets-1.7.0.tgz                         # 14 MB
    pip install OpenEXR==3.5.3
    python benchmarks/panorama_grounds.py assets-1.7.0.tgz grounds/ [--views 24]

The package has 18 panoramas of polyhaven.com: rooms, halls, streets, squares, a forest, meadows, with hardly anybody in
them. Both are CC0, so that what is taught with them may be given to anyone. They are 512 x 256 pixels large, and views
of 60 to 100 degrees are about as far out of focus as what is drawn behind people. Each view looks to a side of its own.
The folder is what `make_open_model.py --grounds` takes; licence.txt in it says what these photographs are.
"""

import argparse
import base64
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from messages import one_message

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, new_folder, write_text
from deepmark.progress import progress
from deepmark.shapes import Float, UInt8

SHA256 = "152bd218a3390703f184f0c6ce16e73c8f0a87f32d38530d418a09d33d8208dc"
FOLDER, SUFFIX, MARK = "package/hdri/", ".exr.js", ";base64,"
SIZE = 640, 480
"""Height and width of a view, pixels."""

_BRIGHT = 1e6
"""Light of the sun, which is more than 16 bits hold."""

LICENCE = "CC0-1.0: panoramas of polyhaven.com, from the npm package @pmndrs/assets 1.7.0\n"


def panoramas(package: Path) -> Iterator[tuple[str, Float[np.ndarray, "h w 3"]]]:
    """Names, and light in linear RGB; raises DeepmarkError for another file and where OpenEXR is missing."""
    if not package.is_file() or file_sha256(package) != SHA256:
        what = "another file, or a damaged one" if package.is_file() else "no such file"
        raise DeepmarkError(f"{package}: {what}. Give assets-1.7.0.tgz; --help says where it is from.")
    with tarfile.open(package) as files:
        names = sorted(name for name in files.getnames() if name.startswith(FOLDER) and name.endswith(SUFFIX))
        texts = {name: _text(files, name) for name in names}
    for name, text in texts.items():
        yield name.removeprefix(FOLDER).removesuffix(SUFFIX), _decoded(base64.b64decode(text))


def _text(files: tarfile.TarFile, name: str) -> str:
    """The base64 in a module of JavaScript whose only line exports a data URL."""
    member = files.extractfile(name)
    assert member is not None, name
    return member.read().decode("ascii").split(MARK, 1)[1].split("'", 1)[0]


def _decoded(exr: bytes) -> Float[np.ndarray, "h w 3"]:
    try:
        import OpenEXR
    except ImportError:
        raise DeepmarkError("OpenEXR is not installed: pip install OpenEXR==3.5.3") from None
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(exr)
        file.flush()
        with OpenEXR.File(file.name) as opened:
            light = opened.channels()["RGB"].pixels
    return np.nan_to_num(np.asarray(light, np.float32), nan=_BRIGHT, posinf=_BRIGHT, neginf=-1.0)


def developed(light: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """8-bit sRGB, in which the median is a middle grey and bright places saturate softly.

    Where light is 0 or less, beside lamps whose image was made smaller with too sharp a filter, it is that around.
    """
    holes = (light <= 0).any(axis=2).astype(np.uint8)
    exposed = 1 - np.exp(-0.45 * light.clip(0, None) / max(float(np.median(light)), 1e-6))
    encoded = np.where(exposed < 0.0031308, 12.92 * exposed, 1.055 * exposed ** (1 / 2.4) - 0.055)
    image = np.rint(255 * encoded.clip(0, 1)).astype(np.uint8)
    return cv2.inpaint(image, holes, 3, cv2.INPAINT_TELEA)


def view(panorama: UInt8[np.ndarray, "h w 3"], yaw: float, pitch: float, field: float) -> UInt8[np.ndarray, "h w 3"]:
    """What a camera in the middle of an equirectangular panorama sees; degrees, `field` that of the height."""
    height, width = SIZE
    zoom = height / 2 / np.tan(np.radians(field) / 2)
    x, y = np.meshgrid((np.arange(width) + 0.5 - width / 2) / zoom, (np.arange(height) + 0.5 - height / 2) / zoom)
    c, s = np.cos(np.radians(pitch)), np.sin(np.radians(pitch))
    forward, down = c + s * y, c * y - s
    azimuth = np.arctan2(x, forward) + np.radians(yaw)
    depth = np.arctan2(down, np.hypot(x, forward))
    rows, columns = panorama.shape[:2]
    column = (azimuth / (2 * np.pi) % 1) * columns - 0.5
    row = (depth / np.pi + 0.5) * rows - 0.5
    around = cv2.copyMakeBorder(panorama, 0, 0, 2, 2, cv2.BORDER_WRAP)
    place = (column + 2).astype(np.float32), row.astype(np.float32)
    return cv2.remap(around, *place, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="assets-1.7.0.tgz")
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--views", type=int, default=24, help="of each panorama")
    options = parser.parse_args()
    found = [(name, developed(light)) for name, light in panoramas(options.package)]
    rng = np.random.default_rng(1)
    with new_folder(options.out) as draft, progress("views", len(found) * options.views) as advance:
        for name, panorama in found:
            for number in range(options.views):
                yaw = 360 * (number + rng.random()) / options.views
                seen = view(panorama, yaw, rng.uniform(-15, 20), rng.uniform(60, 100))
                encoded = simplejpeg.encode_jpeg(np.ascontiguousarray(seen), quality=90)
                (draft / f"{name}-{number:02d}.jpg").write_bytes(encoded)
                advance(1)
        write_text(draft / "licence.txt", LICENCE)


if __name__ == "__main__":
    with one_message("panorama_grounds"):
        main()
