"""Processes that change the registry at the same time."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from registered import aliases, evaluated

from deepmark.errors import DeepmarkError
from deepmark.registry import promote as promote_module
from deepmark.registry.promote import promote, rollback
from deepmark.registry.register import register
from deepmark.registry.versions import CHALLENGER, CHAMPION, Registry

RACER = """
import sys
from pathlib import Path
from deepmark.registry import promote as module
from deepmark.errors import DeepmarkError
from deepmark.workspace.layout import Workspace

def compared(*_, **__):
    print("compared", flush=True)
    sys.stdin.readline()
    return None, []

module.compare_versions = compared
try:
    print(module.promote(Workspace(Path(sys.argv[1]))).message)
except DeepmarkError as error:
    print(error)
"""


def test_of_two_that_set_a_new_tag_at_once_both_succeed(pair):
    registry = Registry(pair.root)
    with ThreadPoolExecutor(8) as pool:
        for tag in map(str, range(12)):
            list(pool.map(lambda value, tag=tag: registry.set_tags(1, {tag: str(value)}), range(8)))

    (version,) = (one for one in registry.versions() if one.number == 1)
    assert all(version.tags[str(tag)].isdigit() for tag in range(12))


def test_of_two_promotions_that_compared_with_the_same_champion_one_wins(pair):
    command = [sys.executable, "-c", RACER, pair.root]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]
    assert [racer.stdout.readline() for racer in racers] == ["compared\n", "compared\n"]
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = sorted(racer.communicate(timeout=60)[0] for racer in racers)

    assert said[0].startswith("version 2 is the champion in place of version 1")
    assert said[1].startswith("version 2 is the champion now: it was changed while version 2 was compared.")
    assert aliases(pair) == {2: ("champion",), 1: ()}
    assert rollback(pair) == {"champion": 1, "rolled_back": 2}
    with pytest.raises(DeepmarkError, match="first champion"):
        rollback(pair)


@pytest.mark.parametrize("moved", [CHAMPION, CHALLENGER])
def test_a_promotion_that_was_overtaken_while_it_compared_changes_nothing(pair, monkeypatch, moved):
    register(evaluated(pair, finds_every=1, seed=8))
    compare = promote_module.compare_versions

    def overtaken(*words, **options):
        comparison = compare(*words, **options)
        Registry(pair.root).set_alias(moved, 2)
        return comparison

    monkeypatch.setattr(promote_module, "compare_versions", overtaken)
    with pytest.raises(DeepmarkError, match=f"version 2 is the {moved} now.*promote again"):
        promote(pair)
    assert 3 not in [number for number, names in aliases(pair).items() if CHAMPION in names]
