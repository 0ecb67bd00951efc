"""Which images to label next: AP against the number of labelled images, by the rule that chose them.

    python benchmarks/label_next.py runs/label_next [--start 200] [--pool 2000] [--validation 500] [--add 200]
                                    [--rounds 1] [--more 2] [--first 500] [--steps 500] [--seeds 317 318 319]
                                    [--only RULE]

Drawings whose categories are as rare as DeepFashion2's (`deepmark synth --statistics deepfashion2`) are the pool. With
every seed, `start` of them are labelled, and a light network learns them in `first` steps of eight images. In each
round it looks at the rest, a rule chooses `add` of them, and the first network goes on with all that are labelled for
`steps` further steps (`train.init`). AP is that of the strategy nms on the validation drawings. Random choice goes on
for `more` rounds, so that one can read off how many images it needs for the AP of another rule. What is done is not
done again: commands with different seeds may run at once, and one with all of them then prints the table.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from label_next_rules import RULES, Known
from label_next_table import label_next_table
from light_trainings import drawings
from messages import one_message
from recipes import RARE

from deepmark.data.shards.reader import ShardReader
from deepmark.eval.metric.evaluate import evaluate
from deepmark.files import write_json
from deepmark.infer.embed import Embedded, embed
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor, predict_shards
from deepmark.model.detector import build_detector, load_network, save_detector
from deepmark.params import Params
from deepmark.schema import FOUND_SCORE, SPLITS, Statistics
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.train.loop import TrainData, TrainState, fit
from deepmark.train.optim import build_optimizer
from deepmark.train.step import make_stepper

ALONE = ProcessGroup(rank=0, world_size=1, local_world_size=1, device=torch.device("cpu"))
PREDICT = PROFILE_PREDICT_PARAMS.model_copy(update={"batch_size": 16, "max_detections": 30})
BATCH = 8
METRICS = ("box_ap", "landmark_ap")


class Labelled:
    """The samples of a reader that are labelled so far, each again and again until there are `length`.

    So networks see equally many samples in one epoch, however many images are labelled.
    """

    def __init__(self, reader: ShardReader, positions: list[int], length: int) -> None:
        self._reader, self._positions, self._length = reader, positions, length
        self.vocabulary = reader.vocabulary

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: int) -> Any:
        return self._reader[self._positions[place % len(self._positions)]]

    def key(self, place: int) -> str:
        return self._reader.key(self._positions[place % len(self._positions)])


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The drawings, and how networks learn from some of them."""

    params: Params
    train: ShardReader
    validation: ShardReader
    categories: list[list[int]]
    """Of the garments of each training image."""

    def learnt(self, positions: list[int], seed: int, steps: int, init: Path | None = None) -> Predictor:
        """A network that has learnt these images, from the start values of the seed or the weights in a file."""
        changes = {"seed": seed, "epochs": 1, "batch_size": BATCH, "validate_every": 0, "precision": "bf16"}
        train = self.params.train.model_copy(update=changes)
        detector = build_detector(self.params.model, self.train.vocabulary, seed=seed)
        if init is not None:
            detector.load_state_dict(load_network(init).state_dict())
        stepper = make_stepper(detector, build_optimizer(detector, train), train, ALONE)
        data = TrainData(
            train=Labelled(self.train, positions, steps * BATCH),  # type: ignore[arg-type]
            validation=self.validation,
            canvas=self.params.model.input_size,
            augment=self.params.augment,
        )
        for _ in fit(stepper, data, TrainState(), stop=StopSignal(), after_step=lambda _: None, measure=lambda _: {}):
            pass
        return Predictor(stepper.kept, "nms", PREDICT)

    def figures(self, predictor: Predictor, positions: list[int]) -> dict[str, Any]:
        """AP on the validation drawings, with its resamples."""
        found = list(predict_shards(self.validation, predictor, batch_size=PREDICT.batch_size))
        records = [self.validation.record(position) for position in range(len(self.validation))]
        vocabulary = self.validation.vocabulary
        report = evaluate(records, found, vocabulary=vocabulary, by_subset=False, resamples=200, seed=1)
        rare = [report.value("box_ap", scope) for scope in RARE]
        counts = self.counts(positions)
        return {
            "labelled": positions,
            "garments": int(counts.sum()),
            "counts": counts.tolist(),
            "rare": float(np.mean([value for value in rare if value is not None])),
            "categories": {name: report.value("box_ap", f"category:{name}") for name in vocabulary.by_name},
            **{metric: report.value(metric) for metric in METRICS},
            "resamples": {metric: report.resamples[metric].tolist() for metric in METRICS},
        }

    def counts(self, positions: list[int]) -> np.ndarray:
        garments = [one for position in positions for one in self.categories[position]]
        return np.bincount(garments, minlength=len(self.train.vocabulary.categories))

    def seen(self, predictor: Predictor, positions: list[int]) -> list[Embedded]:
        made, size = [], PREDICT.batch_size
        for start in range(0, len(positions), size):
            samples = [self.train[position] for position in positions[start : start + size]]
            prepared = [predictor.prepare_jpeg(jpeg, (record.height, record.width)) for record, jpeg in samples]
            made += embed(predictor, prepared, min_score=FOUND_SCORE)
        return made

    def chosen(self, model: Path, labelled: list[int], rule: str, order: list[int], count: int) -> list[int]:
        """What a rule adds to the labelled images, which the network of the file has learnt."""
        rest = [position for position in order if position not in set(labelled)]
        if rule == "random":
            return rest[:count]
        predictor = Predictor(load_network(model), "nms", PREDICT)
        pool, mine = self.seen(predictor, rest), self.seen(predictor, labelled)
        known = Known(pool=pool, labelled=mine, counts=self.counts(labelled))
        return [rest[place] for place in RULES[rule](known, count)]


def run(bench: Bench, folder: Path, rule: str, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The figures of every round of a rule with one seed; nothing is done again."""
    rounds = options.rounds + (options.more if rule == "random" else 0)
    order = np.random.default_rng(seed).permutation(len(bench.train)).tolist()
    positions, done, first = order[: options.start], [], folder / f"{seed}-first.safetensors"
    if not first.is_file():
        save_detector(bench.learnt(positions, seed, options.first).detector, first)
    before = first
    for number in range(rounds + 1):
        name = f"{seed}-{rule.replace(' ', '-')}-{number}" if number else f"{seed}-start"
        file, model = folder / f"{name}.json", folder / f"{name}.safetensors"
        if not file.is_file():
            if number:
                positions = positions + bench.chosen(before, positions, rule, order, options.add)
            predictor = bench.learnt(positions, seed, options.steps, first)
            save_detector(predictor.detector, model)
            facts = bench.figures(predictor, positions)
            write_json(file, facts)
            print(f"{name}: {len(positions)} images, box AP {facts['box_ap']:.3f}", file=sys.stderr, flush=True)
        done.append(json.loads(file.read_text("utf-8")))
        positions, before = done[-1]["labelled"], model
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--start", type=int, default=200, help="images that are labelled at first")
    parser.add_argument("--pool", type=int, default=2000, help="images to choose from")
    parser.add_argument("--validation", type=int, default=500)
    parser.add_argument("--add", type=int, default=200, help="images that a round adds")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--more", type=int, default=2, help="further rounds of random choice")
    parser.add_argument("--first", type=int, default=500, help="steps of the first network")
    parser.add_argument("--steps", type=int, default=500, help="further steps of each round")
    parser.add_argument("--seeds", type=int, nargs="+", default=[317, 318, 319])
    parser.add_argument("--only", action="append", choices=[*RULES], help="may be given again; random is always there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.folder.resolve()
    count = options.start + options.pool
    name = f"data-{count}-{options.validation}"
    data = drawings(folder / name, count, options.validation, seed=1, statistics=Statistics.DEEPFASHION2)
    train, validation = (ShardReader(data.shards(split)) for split in SPLITS)
    categories = [[garment.category for garment in train.record(place).garments] for place in range(len(train))]
    bench = Bench(params=data.params, train=train, validation=validation, categories=categories)
    numbers = (options.start, options.pool, options.validation, options.add, options.first, options.steps)
    runs = folder / "-".join(map(str, numbers))
    runs.mkdir(exist_ok=True)
    rules = [name for name in RULES if name == "random" or not options.only or name in options.only]
    found: dict[str, dict[int, list[dict[str, Any]]]] = {rule: {} for rule in rules}
    for seed in options.seeds:
        for rule in rules:
            found[rule][seed] = run(bench, runs, rule, seed, options)
    print(label_next_table(found))


if __name__ == "__main__":
    with one_message("label_next"):
        main()
