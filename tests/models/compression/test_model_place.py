"""What names of models mean."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from models.compression.model_place import NoModel, model_folder, model_path


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    module = ModuleType("brings_a_model")
    module.MODEL_DIR = str(tmp_path)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "brings_a_model", module)
    monkeypatch.setitem(sys.modules, "brings_none", ModuleType("brings_none"))
    return tmp_path


def test_a_path_means_itself() -> None:
    assert model_path("some/model.onnx") == Path("some/model.onnx")


def test_a_package_means_the_folder_that_it_names(package: Path) -> None:
    assert model_path("package:brings_a_model") == package


@pytest.mark.parametrize("name", ["package:brings_none", "package:is_not_installed"])
def test_a_package_that_brings_no_model_is_named(package: Path, name: str) -> None:
    with pytest.raises(NoModel, match=name):
        model_path(name)


def test_a_hugging_face_folder_has_a_config(package: Path) -> None:
    with pytest.raises(NoModel, match=r"has no config\.json"):
        model_folder("package:brings_a_model")

    (package / "config.json").write_text("{}")

    assert model_folder("package:brings_a_model") == package
