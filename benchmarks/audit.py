"""How many planted faults the audit finds: in the validation labels of a trained workspace, with its real predictions.

10% of the items are spoilt in seven ways (`label_faults`), after the network was trained on right labels. Printed are
the faults of each kind among the first entries, as many as there are faults (N), twice and four times as many, and how
many entries of a score of .5 or more are right. `benchmarks/label_loop.py` does the same with networks that have
learnt the faults, in both splits, and corrects what was found.

    python benchmarks/audit.py --workspace runs/demo --rounds 10 [--first-round 1] [--strategy multiscale]
"""

import argparse
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from label_faults import KINDS, Fault, faults_seen, read_split, spoil

from deepmark.audit.find_issues import find_label_issues
from deepmark.audit.label_issue import LIKELY, count_likely
from deepmark.data.ingest.annotation import parse_annotation
from deepmark.data.predictions import read_predictions
from deepmark.data.records import read_records
from deepmark.params import AuditParams
from deepmark.schema import STRATEGIES
from deepmark.types import ImageRecord
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace

SPLIT, SHARE = "validation", 0.1


def spoilt_records(
    workspace: Workspace, records: list[ImageRecord], seed: int
) -> tuple[list[ImageRecord], list[Fault]]:
    """The records with faults planted into them, and the faults."""
    split = read_split(workspace.raw, SPLIT, {record.id: (record.width, record.height) for record in records})
    faults, made = spoil(split, share=SHARE, rng=np.random.default_rng(seed)), []
    for record in records:
        text = json.dumps(split.files[record.id]).encode()
        parsed = parse_annotation(text, size=(record.height, record.width), vocabulary=DEEPFASHION2)
        made.append(replace(record, garments=parsed.garments))
    return made, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("runs/demo"), help="trained (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=10, help="selections of items (default %(default)s)")
    parser.add_argument("--first-round", type=int, default=1, help="its number (default %(default)s)")
    parser.add_argument("--strategy", choices=STRATEGIES, default=STRATEGIES[-1], help="default %(default)s")
    options = parser.parse_args()
    workspace = Workspace(options.workspace)
    records = list(read_records(workspace.records_file(SPLIT)))
    predictions = read_predictions(workspace.predictions_file(options.strategy))[0]
    found = {SPLIT: {one.image_id: one.detections for one in predictions}}
    params = AuditParams(faulty_share=SHARE, min_score=0.01, hash_bits=10, pictures=0)

    start = time.process_time()
    clean = find_label_issues({SPLIT: records}, found, params, vocabulary=DEEPFASHION2)
    items = sum(len(record.garments) for record in records)
    spent = time.process_time() - start
    print(
        f"nothing planted: {count_likely(clean.issues)} of {items:,} items have {LIKELY} or more; {spent:.1f} s of CPU"
    )
    print(clean.trust())
    planted, likely, right = (Counter[str]() for _ in range(3))
    hits = {factor: Counter[str]() for factor in (1, 2, 4)}
    for seed in range(options.first_round, options.first_round + options.rounds):
        faulty, faults = spoilt_records(workspace, records, seed)
        issues = find_label_issues({SPLIT: faulty}, found, params, vocabulary=DEEPFASHION2).issues
        seen = faults_seen([(one.split, one.image_id, one.item, one.box) for one in issues], faults)
        kinds = {(one.split, one.image_id, one.item): one.kind for one in faults}
        planted.update(kinds.values())
        for factor, counter in hits.items():
            counter.update(kinds[key] for key in set(seen[: factor * len(faults)]) - {None})  # type: ignore[index]
        for issue, key in zip(issues, seen, strict=True):
            if issue.score >= LIKELY:
                likely[issue.kind] += 1
                right[issue.kind] += key is not None
    print(f"| in the first | {' | '.join(KINDS)} | all |\n|---|{'---:|' * (len(KINDS) + 1)}")
    for factor, counter in hits.items():
        cells = [f"{counter[kind]}/{planted[kind]}" for kind in KINDS]
        print(f"| {factor} N | {' | '.join(cells)} | {counter.total() / planted.total():.1%} |")
    share = right.total() / max(1, likely.total())
    print(f"{LIKELY} or more: {right.total()} of {likely.total()} are right ({share:.0%})")
    print("; ".join(f"{kind}: {right[kind]} of {count}" for kind, count in sorted(likely.items())))


if __name__ == "__main__":
    main()
