"""The computed lines in the headers of the profiles: weights, operations, GPU-hours, memory. --write puts them there.

    python benchmarks/profile_costs.py [--write]

The formulas and their sources are those of deepmark/model/cost.py. A test compares the headers with this.
"""

import re
import sys

from deepmark.model.cost import SUSTAINED, cost, training_cost
from deepmark.params import load_params
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import profile_file, profiles

IMAGES = {"demo": 4500, "open": 12_000, "open-large": 100_000}
"""That a profile is made to learn; the others learn DeepFashion2's training set."""

_TRAINING_SET = 191_961

BEGIN = "# Computed, not measured (python benchmarks/profile_costs.py):"
_LINES = re.compile(rf"{re.escape(BEGIN)}.*?\n(?:#   .*\n)*")


def computed_lines(profile: str) -> str:
    """Of its header."""
    params = load_params(profile_file(profile))
    network = cost(params.model, DEEPFASHION2)
    takes = training_cost(params.model, DEEPFASHION2, params.train, images=IMAGES.get(profile, _TRAINING_SET))
    batch = min(params.train.device_batch or params.train.batch_size, params.train.batch_size)
    return (
        f"{BEGIN} {network['parameters'] / 1e6:.1f} million weights,\n"
        f"#   {network['gflop']:.1f} GFLOP an image; {takes['exaflop']:.2g} EFLOP in all, "
        f"{takes['gpu_hours']:.2g} GPU-hours at {SUSTAINED / 1e12:.0f} TFLOP/s;\n"
        f"#   {takes['gigabytes']:.1f} GB in float32 with a batch of {batch} on one GPU, less in half precision.\n"
    )


def with_computed_lines(text: str, profile: str) -> str:
    return _LINES.sub(lambda _: computed_lines(profile), text, count=1)


def main() -> None:
    for profile in profiles():
        print(f"{profile}\n{computed_lines(profile)}")
        if "--write" in sys.argv[1:]:
            file = profile_file(profile)
            file.write_text(with_computed_lines(file.read_text("utf-8"), profile), "utf-8")


if __name__ == "__main__":
    main()
