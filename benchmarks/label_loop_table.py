"""The tables of benchmarks/label_loop.py."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from label_faults import KINDS

from deepmark.schema import SPLITS

_T = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}
"""Student's t for an interval of 95%, by the number of seeds."""


def found_table(found: Sequence[dict[str, Any]]) -> str:
    """Faults found in the first two entries a fault, by kind and split; and what of a score of .5 or more is right."""
    faults, hits, likely, right = (
        sum((Counter(one[name]) for one in found), Counter()) for name in ("faults", "found", "likely", "right")
    )
    lines = [f"| | {' | '.join(KINDS)} | all |", "|---|" + "---:|" * (len(KINDS) + 1)]
    for split in SPLITS:
        names = [f"{split} {kind}" for kind in KINDS]
        cells = [f"{hits[name]}/{faults[name]}" for name in names]
        share = sum(hits[name] for name in names) / sum(faults[name] for name in names)
        lines.append(f"| {split} | {' | '.join(cells)} | {share:.2f} |")
    lines += ["", "| of a score of .5 or more | entries | right |", "|---|---:|---:|"]
    lines += [f"| {kind} | {count} | {right[kind]} |" for kind, count in sorted(likely.items())]
    lines.append(f"| all | {likely.total()} | {right.total()} ({right.total() / max(1, likely.total()):.0%}) |")
    return "\n".join(lines)


def _interval(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3f} (one seed)"
    half = _T.get(len(values), 2.0) * float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {half:.3f}"


def loop_table(found: Sequence[dict[str, Any]], looks: Sequence[int]) -> str:
    """The APs by what was looked at; "back" is the share of the AP that the faults cost, with the same seed."""
    names = ["spoilt", *(f"{way} {n}" for n in looks for way in ("lot", "audit")), "clean"]
    words = {"spoilt": "as spoilt", "clean": "all right"}
    lines = ["| labels | faults corrected | box AP | back | landmark AP | back |", "|---|---:|---:|---:|---:|---:|"]
    total = sum(sum(one["faults"].values()) for one in found)
    for name in names:
        rows = [one["ap"][name] for one in found]
        cells = [f"{sum(row['faults'] for row in rows) / total:.0%}"]
        for metric in ("box_ap", "landmark_ap"):
            ends = [(one["ap"]["spoilt"][metric], one["ap"]["clean"][metric]) for one in found]
            cells.append(_interval([row[metric] for row in rows]))
            back = sum(row[metric] - low for row, (low, _) in zip(rows, ends, strict=True))
            cells.append(f"{back / sum(high - low for low, high in ends):.0%}")
        way, _, n = name.partition(" ")
        text = words.get(name) or f"{'by lot' if way == 'lot' else 'by the audit'}, {n} a fault looked at"
        lines.append(f"| {text} | {' | '.join(cells)} |")
    return "\n".join(lines)
