"""A command that is killed between two writes to the registry is finished by the next call."""

import pytest
from registered import aliases, evaluated

from deepmark.errors import DeepmarkError
from deepmark.registry import promote as promote_module
from deepmark.registry.promote import promote, rollback
from deepmark.registry.register import register
from deepmark.registry.versions import Registry


@pytest.fixture
def without_gate(monkeypatch):
    """Promotions compare nothing, which takes time and is not what the tests here are about."""
    monkeypatch.setattr(promote_module, "compare_versions", lambda *_, **__: (None, []))


class KillError(BaseException):
    """Stands for a kill: no code catches it."""


def kill_at(monkeypatch, count):
    """Let this many writes to the registry happen, and raise KillError at the next."""
    left = [count]

    def counted(name):
        write = getattr(Registry, name)

        def wrapped(*words, **options):
            left[0] -= 1
            if left[0] < 0:
                raise KillError
            return write(*words, **options)

        return wrapped

    for name in ("create_version", "set_tags", "set_alias", "delete_alias", "log_artifact"):
        monkeypatch.setattr(Registry, name, counted(name))


@pytest.mark.parametrize("count", range(4))
def test_a_promotion_interrupted_anywhere_is_finished_by_the_next(pair, without_gate, count):
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, count)
        with pytest.raises(KillError):
            promote(pair)

    promote(pair)

    assert aliases(pair) == {2: ("champion",), 1: ()}
    assert rollback(pair) == {"champion": 1, "rolled_back": 2}
    with pytest.raises(DeepmarkError, match="first champion"):
        rollback(pair)


@pytest.mark.parametrize("count", range(2))
def test_a_rollback_interrupted_anywhere_is_finished_by_the_next(pair, without_gate, count):
    promote(pair)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, count)
        with pytest.raises(KillError):
            rollback(pair)

    rollback(pair)

    assert aliases(pair) == {2: (), 1: ("champion",)}


@pytest.mark.parametrize("count", range(3))
def test_a_registration_interrupted_anywhere_is_finished_by_the_next(pair, count):
    evaluated(pair, finds_every=3, seed=9)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, count)
        with pytest.raises(KillError):
            register(pair)

    assert register(pair)["version"] == 3
    assert aliases(pair) == {3: ("challenger",), 2: (), 1: ("champion",)}
