"""How equal model.onnx of every network is to torch, over many canvases: random weights whose maps have distinct peaks.

    python benchmarks/exported_equality.py [--images 200] [--network dla34]

`deepmark export` compares a trained network with its files in the same way, on `export.equality_images` images.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from deepmark.export.equality import equality
from deepmark.export.onnx_file import export_onnx
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS
from deepmark.model.detector import build_detector
from deepmark.params import model_params

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "export"))
from exported import canvases
from test_networks import NETWORKS, with_distinct_peaks

from deepmark.vocabulary import DEEPFASHION2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--network", choices=NETWORKS, nargs="+", default=list(NETWORKS))
    given = parser.parse_args()
    print("| network | garments | in one only | box, px | score | landmarks | off by more than .1 px | holds |")
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    holds = True
    for name in given.network:
        backbone, deformable, size = NETWORKS[name]
        params = model_params(backbone=backbone, deformable=deformable, input_size=size)
        detector = with_distinct_peaks(build_detector(params, DEEPFASHION2, seed=1).eval(), size)
        batches = np.array_split(canvases(given.images, size), -(-given.images // 8))
        with tempfile.TemporaryDirectory(prefix="deepmark-equality-") as folder:
            file = Path(folder) / "model.onnx"
            export_onnx(detector, file, PROFILE_PREDICT_PARAMS)
            found = equality(detector, file, batches, PROFILE_PREDICT_PARAMS)
        holds &= found.holds()
        print(
            f"| {name}, {size[0]} x {size[1]} | {found.garments:,} | {found.missing} | {found.box:.1e} | "
            f"{found.score:.1e} | {found.landmarks:,} | {found.landmarks_off} | {'yes' if found.holds() else 'no'} |",
            flush=True,
        )
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
