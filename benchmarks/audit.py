"""How many planted faults the audit finds: in the labels of a trained workspace, with its model's real predictions.

Faults of every kind are planted in a copy of the validation records: all landmarks mirrored, one pair exchanged, boxes
shifted, categories changed. Printed are the shares that lie among the first entries: as many as were planted (there,
recall is precision) and twice as many.

    python benchmarks/audit.py --workspace runs/demo --each 10
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from deepmark.audit.find_issues import find_label_issues
from deepmark.audit.label_issue import count_likely
from deepmark.data.predictions import read_predictions
from deepmark.data.records import read_records
from deepmark.params import AuditParams
from deepmark.schema import SPLITS, STRATEGIES
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from faults import FAULTS, plant

PARAMS = AuditParams(faulty_share=0.01, min_score=0.05, hash_bits=10, pictures=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("runs/demo"), help="trained (default %(default)s)")
    parser.add_argument("--each", type=int, default=10, help="faults of each kind (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="selections of items (default %(default)s)")
    options = parser.parse_args()
    workspace = Workspace(options.workspace)
    records = {split: list(read_records(workspace.records_file(split))) for split in SPLITS}
    predictions = read_predictions(workspace.predictions_file(STRATEGIES[-1]))[0]
    found = {"validation": {one.image_id: one.detections for one in predictions}}

    start = time.process_time()
    clean = find_label_issues(records, found, PARAMS, vocabulary=DEEPFASHION2).issues
    items = sum(len(record.garments) for each in records.values() for record in each)
    spent = time.process_time() - start
    print(
        f"nothing planted: {count_likely(clean)} of {items:,} items have a score of 0.5 or more; {spent:.1f} s of CPU"
    )
    print(f"{'round':8}{'planted':>9}{'in first':>10}{'recall':>8}  " + "  ".join(f"{name:>14}" for name in FAULTS))
    for seed in range(options.rounds):
        faulty, planted = plant(records["validation"], each=options.each, seed=seed)
        listed = find_label_issues({**records, "validation": faulty}, found, PARAMS, vocabulary=DEEPFASHION2).issues
        for length in (len(planted), 2 * len(planted)):
            first = {(one.image_id, one.item) for one in listed[:length] if one.split == "validation"}
            hits = Counter(fault for place, fault in planted.items() if place in first)
            shares = "  ".join(f"{hits[name] / options.each:14.0%}" for name in FAULTS)
            print(f"{seed:<8}{len(planted):9}{length:10}{hits.total() / len(planted):8.1%}  {shares}")


if __name__ == "__main__":
    main()
