"""What a network learns from drawn images, from rendered ones, and from both, in the same time.

    python benchmarks/open_model.py runs/open-model [--train 3000] [--validation 400] [--epochs 6] [--seeds 1]
                                                    [--size 128 96] [--jobs 1] [--only NAME] [--grounds DIR]

Every row trains the light network of the profile `modern` on the same number of images for the same number of steps, in
one process of one thread, from the start values of its seed. No photograph of a person takes part. Rows are measured,
by the stages `predict --strategy nms` and `evaluate`, on images that no row has learnt from: rendered ones in styles
that training images do not have (`synthetic.rendered.styles`), drawn ones, and both made worse by blur, noise, white
balance and JPEG.

Besides the two kinds, half of each, and these with the camera effects of `augment`, there are rows in which something
is changed:

- as released: drawings whose categories, sizes and hidden landmarks are as frequent as DeepFashion2's;
- larger input: 256 x 192 pixels, for the same number of steps, which take four times as long;
- no layers: no rendered garment is worn over another upper one, so no jacket over a top;
- photographic grounds, with --grounds: photographs behind the rendered figures. By their names, a third of them is not
  learnt: before these stand the people of one more test. One file for each photograph, so that none is in both parts;
- adapted: nothing is trained. The network of half of each with camera effects is adapted as `deepmark adapt` does it,
  for each test by itself, to unlabelled images that look as those of the test and are none of them: drawn or rendered
  with another seed, in the same held-out styles, made worse in the same way, before the same photographs. So it is
  told how the test looks, which no other row is, and nothing else about it.

Printed are means over the seeds; what each row gains over "2d only" and "half of each", in pairs of one seed, with
intervals of 95% by images and seeds as in recipes.py, and over the row that the adapted one comes from; and how far
the tests agree on the order of the rows. What is done is not done again, and a row that was killed goes on where it
was. The two rows that others are compared with run always.
"""

import argparse
import json
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from light_trainings import (
    FIRST_SEED,
    MEASURE,
    Changes,
    adapted_model,
    aps,
    light_params,
    resampled,
    slug,
    workspace_after,
)
from messages import one_message
from open_model_data import Data
from open_model_table import METRICS, agreement_table, figures_table, gains_table

from deepmark.errors import DeepmarkError
from deepmark.files import write_json
from deepmark.workspace.layout import Workspace

PHOTOGRAPHIC: Changes = {"augment": {"white_balance": 0.2, "blur": 1.0, "noise": 10.0, "jpeg": 70}}


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is learnt."""

    share: float
    """Of rendered images."""

    changes: Changes = field(default_factory=dict)
    """Of the recipe."""

    rendered: str = "rendered"
    """Which rendered images, see `Data.raw`."""

    drawn: str = "drawn"
    """Which drawn images, in the same way."""

    adapts: str | None = None
    """The row whose networks are adapted, instead of a training."""


PLAIN, BOTH = "2d only", "half of each"
ROWS = {
    PLAIN: Row(share=0.0),
    "3d only": Row(share=1.0),
    BOTH: Row(share=0.5),
    f"{PLAIN}, camera effects": Row(share=0.0, changes=PHOTOGRAPHIC),
    "3d only, camera effects": Row(share=1.0, changes=PHOTOGRAPHIC),
    f"{BOTH}, camera effects": Row(share=0.5, changes=PHOTOGRAPHIC),
    f"{PLAIN}, as released": Row(share=0.0, drawn="as released"),
    f"{BOTH}, larger input": Row(share=0.5, changes={"model": {"input_size": [256, 192]}}),
    f"{BOTH}, no layers": Row(share=0.5, rendered="no layers"),
    f"{BOTH}, photographic grounds": Row(share=0.5, rendered="photographs"),
    f"{BOTH}, adapted": Row(share=0.5, changes=PHOTOGRAPHIC, adapts=f"{BOTH}, camera effects"),
}


def rows_of(only: Sequence[str] | None, *, photographs: bool) -> dict[str, Row]:
    """The rows that these words name or, where a word is no row's name, whose names hold it; and those that they need.

    Raises DeepmarkError for a word that no name holds.
    """
    if unknown := [word for word in only or () if not any(word in name for name in ROWS)]:
        raise DeepmarkError(f"--only {unknown[0]}: no row has this in its name. The rows are {'; '.join(ROWS)}.")
    wanted = [name for name in ROWS if not only or any(name == word if word in ROWS else word in name for word in only)]
    if not photographs and (left_out := [name for name in wanted if ROWS[name].rendered == "photographs"]):
        print(f"{', '.join(left_out)}: left out; --grounds DIR gives the photographs", file=sys.stderr)
        wanted = [name for name in wanted if name not in left_out]
    needed = {PLAIN, BOTH, *wanted, *(ROWS[name].adapts for name in wanted)}
    return {name: row for name, row in ROWS.items() if name in needed}


class Bench:
    """How rows are trained and measured on the data."""

    def __init__(self, data: Data, options: argparse.Namespace) -> None:
        self.data, self.options = data, options
        self._adapting = threading.Lock()  # it sets the number of torch's threads

    def prepare(self, rows: dict[str, Row]) -> None:
        """Make what is missing of images and shards."""
        for test in self.data.tests:
            self.data.test_set(test)
            if any(row.adapts for row in rows.values()):
                self.data.unlabelled(test)
        for share, rendered, drawn in {(row.share, row.rendered, row.drawn) for row in rows.values()}:
            self.data.training_set(share, rendered, drawn)

    def trained(self, name: str, seed: int) -> Workspace:
        """The network of a row with one seed."""
        row = ROWS[name]
        data = self.data.training_set(row.share, row.rendered, row.drawn)
        return workspace_after(self.data.folder / slug("row", name, seed), data, self.params(row, seed), "train")

    def params(self, row: Row, seed: int) -> Any:
        """The profile `modern` in this budget, with the changes of the row."""
        options = self.options
        budget: Changes = {"evaluate": {"resamples": options.resamples}}
        return light_params(budget, row.changes, seed=seed, epochs=options.epochs, size=options.size)

    def model(self, name: str, seed: int, test: str, trained: Workspace) -> Path:
        """The model file that is measured in this test."""
        if ROWS[name].adapts is None:
            return trained.model_file
        with self._adapting:
            goal = self.data.folder / slug("adapted", name, seed, test)
            return adapted_model(goal, trained, self.data.unlabelled(test))

    def figures(self, name: str, seed: int) -> dict[str, Any]:
        """What came out of a row with one seed; nothing is done again."""
        row = ROWS[name]
        trained = self.trained(row.adapts or name, seed)
        found: dict[str, Any] = {"seconds": json.loads(trained.train_metrics_file.read_text("utf-8"))["seconds"]}
        for test in self.data.tests:
            folder, model = self.data.folder / slug("on", name, seed, test), self.model(name, seed, test, trained)
            measured = workspace_after(folder, self.data.test_set(test), self.params(row, seed), *MEASURE, model=model)
            table = aps(measured)
            found[test] = {metric: float(table[metric, "all"]) for metric in METRICS}
            found[test]["resamples"] = resampled(measured)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=3000, help="images to learn")
    parser.add_argument("--validation", type=int, default=400, help="of each kind")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--resamples", type=int, default=1000, help="of the images, for the intervals")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--only", action="append", help="a row, or all rows whose name holds this; may be given again")
    parser.add_argument("--grounds", type=Path, metavar="DIR", help="photographs to stand behind rendered figures")
    options = parser.parse_args()
    folder = options.folder.resolve() / f"{options.train}-{options.validation}"
    rows = rows_of(options.only, photographs=options.grounds is not None)
    data = Data(folder, train=options.train, validation=options.validation, grounds=options.grounds)
    bench = Bench(data, options)
    bench.prepare(rows)
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    found: dict[str, list[dict]] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        for adapting in (False, True):  # an adapted row needs the networks of another
            names = [name for name, row in rows.items() if (row.adapts is not None) == adapting]
            waiting = {name: [pool.submit(bench.figures, name, seed) for seed in seeds] for name in names}
            for name, figures in waiting.items():
                found[name] = [one.result() for one in figures]
                print(f"{name}: done", file=sys.stderr, flush=True)
                write_json(data.folder / "figures.json", found)
    bases = [PLAIN, BOTH, *(row.adapts for row in rows.values() if row.adapts)]
    gains = [gains_table(found, data.tests, base) for base in bases]
    print("\n\n".join([figures_table(found, data.tests), *gains, agreement_table(found, data.tests)]))


if __name__ == "__main__":
    os.nice(5)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that draw and render, one a core
    with one_message("open_model"):
        main()
