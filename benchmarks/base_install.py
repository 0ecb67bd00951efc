"""The base package in an environment of its own: its size, the time to a first detection, and the memory that it takes.

    python benchmarks/base_install.py

installs the wheel of this clone with pip into an empty environment (from the package index, or pip's cache), exports
`mobile` networks, and finds garments in an image of 12 megapixels and in one of 0.2. Those networks have start values,
with heatmaps lowered until they hold about as many peaks as after training, for time and memory grow with the peaks;
`--model` adds a trained one. Every run is a new process; times are the median and the best of ten, after two that are
not counted. CPU seconds, of all threads together, depend less on what else the machine does.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simplejpeg

REPOSITORY = Path(__file__).parents[1]
RUNS, UNCOUNTED = 10, 2
PHOTOS = {"0.2 megapixels": (512, 384), "12 megapixels": (4000, 3000)}

EXPORT = """
import sys, torch; from pathlib import Path
from deepmark.export.onnx_file import export_onnx
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS
from deepmark.model.detector import build_detector
from deepmark.params import ModelParams
maps = sys.argv[2]
network = build_detector(ModelParams(backbone="mobile", input_size=(320, 320), landmark_maps=maps), seed=1).eval()
for head in (network.heads.center_heatmap, network.heads.landmark_heatmap):
    torch.nn.init.constant_(head.convolutions[1].bias, -4.6)  # probability .01, as a trained network has of nothing
export_onnx(network, Path(sys.argv[1]), PROFILE_PREDICT_PARAMS)
"""
"""In a process of its own: the memory of this one would be counted as that of the processes that it starts."""

FROM_PYTHON = "import sys; from deepmark import load_detector; load_detector(sys.argv[1], min_score=0)(sys.argv[2])"
BARE = """
import sys, numpy, onnxruntime, simplejpeg
pixels = simplejpeg.decode_jpeg(open(sys.argv[2], "rb").read(), "RGB", min_height=320, min_width=320)
session = onnxruntime.InferenceSession(sys.argv[1])
size = session.get_inputs()[0].shape[1:]
session.run(None, {"images": numpy.zeros((1, *size), numpy.uint8)})
"""
"""What no program can do without: read a JPEG and run the network."""


def environment(folder: Path) -> Path:
    """An environment with the wheel; returns its folder of commands."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", folder, REPOSITORY], check=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "base"], check=True)
    wheel = next(folder.glob("deepmark-*.whl"))
    install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    python = folder / "base/bin/python"
    subprocess.run([python, *install, "--constraint", REPOSITORY / "constraints.txt", wheel], check=True)
    return python.parent


def megabytes(folder: Path) -> float:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def sizes(commands: Path) -> dict[str, float]:
    """Megabytes of the environment without pip and setuptools, and of its largest packages."""
    packages = next((commands.parent / "lib").glob("python3*/site-packages"))
    found = {entry.name: megabytes(entry) for entry in packages.iterdir() if entry.is_dir()}
    tools = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    pip = sum(size for name, size in found.items() if name.partition("-")[0] in tools)
    found = {name: size for name, size in found.items() if name not in tools}
    largest = dict(sorted(found.items(), key=lambda item: -item[1])[:9])
    return {"environment": megabytes(commands.parent) - pip, "pip and setuptools": pip} | largest


def measure(command: Sequence[str | Path], folder: Path) -> tuple[float, float, float, float]:
    """Median and best seconds from the start of a process to its end, median CPU seconds, and the most megabytes."""
    variables = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
    seconds, processor, memory = [], [], []
    for number in range(UNCOUNTED + RUNS):
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, command
        if number >= UNCOUNTED:
            seconds.append(time.perf_counter() - start)
            processor.append(usage.ru_utime + usage.ru_stime)
            memory.append(usage.ru_maxrss / 1024)
    return statistics.median(seconds), min(seconds), statistics.median(processor), max(memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="an exported model.onnx, beside those that are made")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = environment(folder)
        models = {}
        for maps, words in {"grouped": "320 x 320, 80 maps", "separate": "320 x 320, 294 maps"}.items():
            models[words] = folder / f"{maps}.onnx"
            subprocess.run([sys.executable, "-c", EXPORT, models[words], maps], cwd=REPOSITORY, check=True)
        if given.model:
            models[given.model.name] = given.model.resolve()
        print("| package | MB |\n|---|---:|")
        for package, size in sizes(commands).items():
            print(f"| {package} | {size:.1f} |")
        print("\n| | network | photo | median s | best s | CPU s | MB |\n|---|---|---|---:|---:|---:|---:|")
        for words, (height, width) in PHOTOS.items():
            photo, rng = folder / f"{height}.jpg", np.random.default_rng(0)
            small = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
            photo.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(small.repeat(8, 0).repeat(8, 1)), 90))
            for network, model in models.items():
                for what, command in {
                    "`deepmark detect`": [commands / "deepmark", "detect", photo, "--model", model, "--min-score", "0"],
                    "`load_detector`": [commands / "python", "-c", FROM_PYTHON, model, photo],
                    "bare lines": [commands / "python", "-c", BARE, model, photo],
                }.items():
                    median, best, processor, memory = measure(command, folder)
                    figures = f"{median:.2f} | {best:.2f} | {processor:.2f} | {memory:.0f}"
                    print(f"| {what} | {network} | {words} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
