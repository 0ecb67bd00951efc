"""Exported files beside torch: size, time, images a second and memory, decoding included, by backbone.

    python benchmarks/edge.py --workspace runs/demo                    the demo's network, with its APs
    python benchmarks/edge.py --backbone dla34 --size 512 512          start values; --plain, hourglass104, mobile

Each runner works in a process of its own, because memory is measured by the process; `--rounds` of all runners follow
each other, and the median counts. Read the ratios: "of eager" compares within one run.

The network is that of a checkpoint, or one with start values whose heatmaps are lowered until they hold a few hundred
peaks, about as many as after training.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from deepmark.compute.local import Local
from deepmark.runtime.contract import FILES
from deepmark.vocabulary import DEEPFASHION2

RUNNERS = {
    "torch eager": "eager",
    "torch.compile of the network": "compile",
    "ONNX Runtime float32": "float32",
    "ONNX Runtime float32, all heads at every cell": "dense",
    "ONNX Runtime float16 weights": "float16",
    "ONNX Runtime int8": "int8",
    "OpenVINO float32": "openvino:float32",
    "OpenVINO int8": "openvino:int8",
}
"""What is timed: words, and the runner. OpenVINO is left out where it is not installed, or cannot convert the file."""

FILE_OF = {**FILES, "dense": "model_dense.onnx", "eager": "model.safetensors", "compile": "model.safetensors"}

_HEATMAP_BIAS = -4.6
"""Probability .01 where there is nothing, as in a trained network; start values have .1, the threshold of a peak."""


def make_files(
    folder: Path,
    *,
    checkpoint: Path | None,
    backbone: str,
    size: tuple[int, int],
    deformable: bool,
    canvas_count: int = 32,
    int8: bool = True,
) -> None:
    """The checkpoint and its three files, and the canvases that all runners see."""
    from deepmark.export.onnx_file import export_onnx
    from deepmark.export.smaller import write_float16, write_int8
    from deepmark.infer.predict import PROFILE_PREDICT_PARAMS
    from deepmark.model.detector import load_network, save_detector
    from deepmark.runtime.canvas import letterboxed

    detector = load_network(checkpoint) if checkpoint else new_network(backbone, size, deformable=deformable)
    save_detector(detector, folder / "model.safetensors")
    canvases = drawn_canvases(detector.params.input_size, canvas_count, letterboxed)
    np.save(folder / "canvases.npy", canvases)
    export_onnx(detector, folder / FILES["float32"], PROFILE_PREDICT_PARAMS)
    with heads_at_every_cell():
        export_onnx(detector, folder / FILE_OF["dense"], PROFILE_PREDICT_PARAMS)
    write_float16(folder / FILES["float32"], folder / FILES["float16"])
    if int8:
        write_int8(folder / FILES["float32"], folder / FILES["int8"], [canvases])


def new_network(backbone: str, size: tuple[int, int], *, deformable: bool = True) -> Any:
    """A network with start values, whose heatmaps hold about as many peaks as a trained one's."""
    import torch

    from deepmark.model.detector import build_detector
    from deepmark.params import model_params

    params = model_params(backbone=backbone, input_size=size, deformable=deformable)
    detector = build_detector(params, DEEPFASHION2, seed=1).eval()
    with torch.no_grad():
        for name in ("center_heatmap", "landmark_heatmap"):
            getattr(detector.heads, name).convolutions[1].bias.fill_(_HEATMAP_BIAS)
    return detector


@contextmanager
def heads_at_every_cell() -> Iterator[None]:
    """Exports compute the four heads that are needed at peaks only over the whole map, as torch does."""
    from torch import nn

    from deepmark.export import graph

    features: list[Any] = []

    class AtPlaces(nn.Module):
        def __init__(self, head: nn.Module) -> None:
            super().__init__()
            self.head = head

        def forward(self, flat: Any) -> Any:
            return self.head(features[0]).permute(0, 2, 3, 1).flatten(0, 2)[flat]

    def places(padded: Any, image: Any, cells: Any, width: int) -> Any:
        features[:] = [padded[:, 1:-1, 1:-1].permute(0, 3, 1, 2)]
        return image * (features[0].shape[2] * width) + cells

    with patch.object(graph, "_windows", places), patch.object(graph, "_AtWindows", AtPlaces):
        yield


def drawn_canvases(size: tuple[int, int], count: int, letterboxed: Callable[..., np.ndarray]) -> np.ndarray:
    """Drawn images of clothes on the network's canvas."""
    from deepmark import geometry
    from deepmark.images import open_image
    from deepmark.synthetic import draw_dataset

    with tempfile.TemporaryDirectory(prefix="deepmark-edge-") as folder:
        draw_dataset(Path(folder), train=count, validation=0, seed=7, engine=Local(1))
        images = [open_image(file) for file in sorted(Path(folder, "train", "image").glob("*.jpg"))]
        return np.stack([letterboxed(image, geometry.letterbox(image.size, size), size) for image in images])


def runner(name: str, folder: Path, device: str = "cpu") -> Callable[[np.ndarray], Any]:
    """From canvases to garments, decoding included."""
    if name in ("eager", "compile"):
        return _torch_runner(folder, compiled=name == "compile", device=device)
    file = folder / FILE_OF[name.removeprefix("openvino:")]
    if name.startswith("openvino"):
        import openvino

        # With AMX it would compute in bfloat16, and find other garments.
        precision = {"INFERENCE_PRECISION_HINT": "f32"}
        return openvino.Core().compile_model(openvino.Core().read_model(file), "CPU", precision)
    from deepmark.runtime.onnx_detector import OnnxDetector, PlacedImage

    detector = OnnxDetector(file, strategy="none", min_score=0.0, device=device)
    return lambda canvases: detector.detect([PlacedImage.of_canvas(canvas) for canvas in canvases])


def _torch_runner(folder: Path, *, compiled: bool, device: str) -> Callable[[np.ndarray], Any]:
    import torch

    from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor, PreparedImage
    from deepmark.model.detector import load_network

    predictor = Predictor(load_network(folder / "model.safetensors"), "none", PROFILE_PREDICT_PARAMS, device)
    if compiled:
        predictor.detector.forward = torch.compile(predictor.detector.forward)  # type: ignore[method-assign]
    return lambda canvases: predictor.detect(
        [PreparedImage(size=one.shape[:2], affines=[np.eye(2, 3)], canvases=[one], read_ms=0) for one in canvases]
    )


def measure(name: str, folder: Path, seconds: float, batches: Sequence[int]) -> dict[str, float]:
    """Milliseconds an image in batches of these sizes, and the process's largest memory in MB."""
    canvases, run = np.load(folder / "canvases.npy"), runner(name, folder)
    figures = {f"batch {batch}": ms_an_image(run, canvases, batch, seconds) for batch in batches}
    return {**figures, "memory": _peak_memory()}


def ms_an_image(run: Callable[[np.ndarray], Any], canvases: np.ndarray, batch: int, seconds: float) -> float:
    """The median over so many seconds, after one run that is not counted."""
    run(canvases[:batch])
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        start = (len(times) * batch) % len(canvases)
        began = time.perf_counter()
        run(canvases[start : start + batch])
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times) / batch


def _peak_memory() -> float:
    """Of this process, MB; `ru_maxrss` would count the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def in_a_process(name: str, folder: Path, seconds: float, batches: Sequence[int]) -> dict[str, float] | None:
    """`measure` in a process of its own; None where the runner is not installed or cannot take the file."""
    command = [sys.executable, __file__, "--measure", name, "--folder", str(folder), "--seconds", str(seconds)]
    command += ["--batches", *map(str, batches)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  {name}: left out ({done.stderr.strip().splitlines()[-1]})", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def aps_of(workspace: Path | None) -> dict[str, str]:
    """Box AP and landmark AP by runner, as the stage `export` measured them."""
    if workspace is None:
        return {}
    files = json.loads((workspace / "metrics/export.json").read_text())["files"]
    found = {name: f"{one['box_ap']['value']:.4f} | {one['landmark_ap']['value']:.4f}" for name, one in files.items()}
    first = files["float32"]
    return {**found, "eager": f"{first['box_ap']['torch']:.4f} | {first['landmark_ap']['torch']:.4f}"}


def print_table(rows: dict[str, list[dict[str, float]]], folder: Path, aps: dict[str, str]) -> None:
    more = (" box AP | landmark AP |", "---:|---:|") if aps else ("", "")
    batches = [key for key in next(iter(rows.values()))[0] if key != "memory"]
    columns = " | ".join(f"ms an image, {batch}" for batch in batches)
    print(f"| runner | MB | {columns} | images a second | of eager | memory, MB |{more[0]}")
    print(f"|---|---:|{'---:|' * len(batches)}---:|---:|---:|{more[1]}")
    figures = {
        name: {key: statistics.median(one[key] for one in each) for key in each[0]} for name, each in rows.items()
    }
    eager = figures["torch eager"][batches[0]]
    for name, one in figures.items():
        file = folder / FILE_OF[RUNNERS[name].removeprefix("openvino:")]
        times = [one[batch] for batch in batches]
        print(
            f"| {name} | {file.stat().st_size / 1e6:.2f} | {' | '.join(f'{ms:.1f}' for ms in times)} | "
            f"{1e3 / min(times):.1f} | {times[0] / eager:.2f} | {one['memory']:.0f} |"
            + (f" {aps.get(RUNNERS[name], '– | –')} |" if aps else "")
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, help="a model.safetensors; its own backbone and input size are used")
    parser.add_argument("--workspace", type=Path, help="its checkpoint, with the APs that `deepmark export` measured")
    parser.add_argument("--backbone", default="mobile", choices=["mobile", "dla34", "hourglass104"])
    parser.add_argument("--size", type=int, nargs=2, default=(320, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--plain", action="store_true", help="dla34 without deformable convolutions")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of measurement for each runner and batch size")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="batch sizes; ratios are of the first")
    parser.add_argument("--canvases", type=int, default=32, help="drawn images that int8 is calibrated with")
    parser.add_argument("--skip", nargs="*", default=[], choices=list(RUNNERS.values()))
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.folder, given.seconds, given.batches)))
        return
    with tempfile.TemporaryDirectory(prefix="deepmark-edge-") as name:
        folder = Path(name)
        size = (given.size[0], given.size[1])
        checkpoint = given.workspace / "data/checkpoint/model.safetensors" if given.workspace else given.checkpoint
        make_files(
            folder,
            checkpoint=checkpoint,
            backbone=given.backbone,
            size=size,
            deformable=not given.plain,
            canvas_count=given.canvases,
            int8=not {"int8", "openvino:int8"} <= set(given.skip),
        )
        rows: dict[str, list[dict[str, float]]] = {}
        for _ in range(given.rounds):
            for words, runner_name in RUNNERS.items():
                if runner_name not in given.skip and (
                    one := in_a_process(runner_name, folder, given.seconds, given.batches)
                ):
                    rows.setdefault(words, []).append(one)
        print_table(rows, folder, aps_of(given.workspace))


if __name__ == "__main__":
    main()
