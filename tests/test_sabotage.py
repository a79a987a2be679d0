"""Every sabotage of every trick is noticed by a default test."""

import pytest

from tests import sabotage


def test_there_are_sabotages_of_every_trick_and_each_is_one() -> None:
    paths = [path for path in sorted(sabotage.MIXINS.glob("*.py")) if path.stem != "__init__"]
    found = {path: list(sabotage.sabotages(path)) for path in paths}
    for path, several in found.items():
        assert all(one.source != path.read_text() for one in several)
        for one in several:
            compile(one.source, one.name, "exec")
    assert sum(map(len, found.values())) >= 100
    names = {one.name for several in found.values() for one in several}
    assert sabotage.HARMLESS.keys() <= names


@pytest.mark.slow
def test_every_sabotage_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["sabotage"])
    assert sabotage.main() == 0
