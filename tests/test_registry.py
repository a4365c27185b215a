"""`Registry`: decorator, entry points, and errors that help."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from fo1 import registry as module
from fo1.errors import RegistryError
from fo1.registry import Registry


@pytest.fixture
def animals() -> Registry[object]:
    animals: Registry[object] = Registry("fo1.animals")

    @animals.register("cat")
    class Cat:
        pass

    @animals.register("horse")
    def horse() -> object:
        return object()

    return animals


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two installed plug-ins, one of them broken."""
    announced = EntryPoints(
        [
            EntryPoint("ordered", "collections:OrderedDict", "fo1.animals"),
            EntryPoint("broken", "no_such_module:thing", "fo1.animals"),
            EntryPoint("half", "collections:NoSuchThing", "fo1.animals"),
            EntryPoint("elsewhere", "collections:OrderedDict", "fo1.plants"),
        ]
    )
    monkeypatch.setattr(module, "entry_points", lambda **which: announced.select(**which))


def test_registered_factories(animals: Registry[object]) -> None:
    assert animals.names() == ["cat", "horse"]
    assert type(animals.get("cat")()).__name__ == "Cat"


def test_unknown_names_list_the_known_and_suggest(animals: Registry[object]) -> None:
    with pytest.raises(RegistryError, match=r"unknown fo1\.animals 'hors'.*did you mean 'horse'.*cat, horse"):
        animals.get("hors")
    with pytest.raises(RegistryError) as caught:
        animals.get("zzz")
    assert "did you mean" not in str(caught.value)
    with pytest.raises(RegistryError, match="none"):
        Registry("fo1.nothing").get("x")


def test_a_name_belongs_to_one(animals: Registry[object]) -> None:
    animals.register("cat")(animals.get("cat"))
    with pytest.raises(RegistryError, match="'cat' is taken"):
        animals.register("cat")(dict)


@pytest.mark.usefixtures("installed")
def test_entry_points_are_found_on_a_miss(animals: Registry[object]) -> None:
    assert animals.get("ordered")() == {}
    assert animals.names() == ["broken", "cat", "half", "horse", "ordered"]
    with pytest.raises(RegistryError, match="unknown"):
        animals.get("elsewhere")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["broken", "half"])
def test_a_broken_plug_in_is_named_and_harms_no_other(animals: Registry[object], name: str) -> None:
    with pytest.raises(RegistryError, match=f"'{name}'.*cannot be loaded"):
        animals.get(name)
    assert animals.get("ordered")
