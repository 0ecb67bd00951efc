"""The tables of benchmarks/label_next.py: AP by rule and number of images, and what random choice needs for that AP.

A gain is the mean over the seeds of rule - random at the same number of images. Its interval of 95% is of two
variances: by images, from resamples that both share, and by seeds, which all rules and rounds estimate together, as
three of one would say little. What random choice needs is read off its mean curve, between its points.
"""

from typing import Any

import numpy as np
from recipe_table import differences, of_images

Found = dict[str, dict[int, list[dict[str, Any]]]]
"""By rule and seed, the figures of each round."""

METRICS = ("box_ap", "landmark_ap")


def label_next_table(found: Found) -> str:
    """Both tables as Markdown."""
    return "\n\n".join([_curves(found), _needed(found)])


def _round(found: Found, rule: str, number: int) -> list[dict[str, Any]]:
    """The figures of all seeds, as `recipe_table` takes them."""
    return [{"plain": rounds[number]} for rounds in found[rule].values()]


def _curves(found: Found) -> str:
    rules = [rule for rule in found if rule != "random"]
    rounds = {rule: min(len(each) for each in found[rule].values()) for rule in found}
    noise = {}
    for metric in METRICS:
        variances = [
            np.var(differences(_round(found, rule, n), _round(found, "random", n), "plain", metric), ddof=1)
            for rule in rules
            for n in range(1, rounds[rule])
            if len(found[rule]) > 1
        ]
        noise[metric] = float(np.mean(variances)) if variances else np.nan
    lines = ["| rule | images | garments | box AP | gain | landmark AP | gain | rare box AP |", "|---|" + "---:|" * 7]
    for rule in found:
        for n in range(1 if rule in rules else 0, rounds[rule]):
            rows = _round(found, rule, n)
            one = [row["plain"] for row in rows]
            cells = [rule, f"{len(one[0]['labelled']):,}", f"{np.mean([row['garments'] for row in one]):,.0f}"]
            for metric in METRICS:
                cells.append(f"{np.mean([row[metric] for row in one]):.3f}")
                base = _round(found, "random", n)
                cells.append(_gain(rows, base, metric, noise[metric]) if rule in rules else "")
            lines.append(f"| {' | '.join([*cells, f'''{np.mean([row['rare'] for row in one]):.3f}'''])} |")
    return "\n".join(lines)


def _gain(rows: list[dict], base: list[dict], metric: str, noise: float) -> str:
    each = differences(rows, base, "plain", metric)
    half = 1.96 * np.sqrt(of_images(rows, base, "plain", metric) + noise / len(each))
    return f"{each.mean():+.3f} ± {half:.3f}" if np.isfinite(half) else f"{each.mean():+.3f} (one seed)"


def _needed(found: Found) -> str:
    """How many images and garments random choice needs for the mean AP of the last round of each rule."""
    lines = ["| rule | images | random choice needs | garments | random choice needs |", "|---|---:|---:|---:|---:|"]
    curve = _mean_curve(found["random"])
    for rule in found:
        if rule != "random":
            last = _mean_curve(found[rule])[-1]
            pairs = [(last[unit], needed_by(curve, last["box_ap"], unit)) for unit in ("images", "garments")]
            lines.append(f"| {rule} | {' | '.join(f'{mine:,.0f} | {others}' for mine, others in pairs)} |")
    return "\n".join(lines)


def _mean_curve(by_seed: dict[int, list[dict[str, Any]]]) -> list[dict[str, float]]:
    """The means over the seeds, by round."""
    return [
        {
            "images": len(rows[0]["labelled"]),
            **{name: float(np.mean([row[name] for row in rows])) for name in ("garments", "box_ap")},
        }
        for rows in zip(*by_seed.values(), strict=False)
    ]


def needed_by(curve: list[dict[str, float]], ap: float, unit: str) -> str:
    """The number of images or garments at which a curve first reaches an AP, between its points; of rising AP only."""
    x, values = [point[unit] for point in curve], np.maximum.accumulate([point["box_ap"] for point in curve])
    if ap > values[-1]:
        return f"more than {x[-1]:,.0f}"
    place = int(np.searchsorted(values, ap))
    if not place:
        return f"{x[0]:,.0f}"
    share = (ap - values[place - 1]) / (values[place] - values[place - 1])
    return f"{x[place - 1] + share * (x[place] - x[place - 1]):,.0f}"
