"""The layers: what they weigh, and that they carry all that the functions import."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from build_layers import AWS_SERVICES, BUDGET_MB, build_layers, check_budget, packages_mb, target
from parley.generation.counting import TokenCounter
from steps import Step, Stop

ROOT = Path(__file__).parents[2]


def test_layers_over_the_budget_are_refused_and_the_heavy_one_is_named() -> None:
    with pytest.raises(Stop, match=r"151 MB, over the budget of 150 MB: dependencies 131 MB"):
        check_budget({"dependencies": 131, "encoder": 20})


def test_layers_within_the_budget_pass() -> None:
    check_budget({"dependencies": BUDGET_MB - 20, "encoder": 20})


def test_a_package_is_weighed_with_its_native_libraries(tmp_path: Path) -> None:
    for name, size in (("numpy/core.so", 2_000_000), ("numpy.libs/blas.so", 3_000_000), ("six.py", 1_000_000)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))

    assert packages_mb(tmp_path) == {"numpy": 5.0, "six": 1.0}


@pytest.fixture(scope="module")
def layers() -> Path:
    with Step("layers") as step:
        return build_layers(target("local"), step)


@pytest.mark.timeout(300)  # the first build downloads
@pytest.mark.parametrize("function", ["chat", "socket", "slack", "worker", "web", "stream"])
def test_a_function_imports_with_nothing_but_its_layers(layers: Path, function: str) -> None:
    handler = ROOT / "functions" / function / "handler.py"
    imports = [node for node in ast.parse(handler.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    paths = [layers / "dependencies" / "python", ROOT / "layers" / "parley" / "python"]
    script = f"import sys; sys.path[:0] = {[str(path) for path in paths]}\n" + "\n".join(map(ast.unparse, imports))

    alone = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", script], capture_output=True, text=True, check=False
    )

    assert alone.returncode == 0, alone.stderr


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        ("tensorflow_serving", "parley.adapters.tensorflow_serving"),
        ("chat_template", "parley.generation.template"),
    ],
)
def test_what_only_some_generators_need_is_in_a_layer_of_its_own(layers: Path, layer: str, module: str) -> None:
    without = _import(module, layers / "dependencies" / "python")
    with_it = _import(module, layers / "dependencies" / "python", layers / layer / "python")

    assert "ModuleNotFoundError" in without
    assert with_it == ""


def test_the_cache_servers_client_is_where_every_function_has_it(layers: Path) -> None:
    assert _import("parley.adapters.valkey", layers / "dependencies" / "python") == ""


def _import(module: str, *layers: Path) -> str:
    """What Python complains of when it imports `module` with nothing but some layers."""
    paths = [str(path) for path in (*layers, ROOT / "layers" / "parley" / "python")]
    script = f"import sys; sys.path[:0] = {paths}; import {module}"
    command = [sys.executable, "-I", "-S", "-B", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_the_layer_knows_every_service_that_the_package_calls() -> None:
    sources = (ROOT / "layers" / "parley" / "python").rglob("*.py")

    called = {
        name for source in sources for name in re.findall(r'boto3\.client\(\s*"([a-z0-9-]+)"', source.read_text())
    }

    assert {"apigatewaymanagementapi", "sagemaker-runtime"} <= called <= set(AWS_SERVICES)


def test_the_generators_tokenizer_travels_with_the_encoder(layers: Path) -> None:
    assert TokenCounter(layers / "encoder" / "tokenizer" / "tokenizer.json")("how are you?") > 0


def test_no_layer_carries_what_only_makes_models(layers: Path) -> None:
    packages = {path.name for path in (layers / "dependencies" / "python").iterdir()}

    assert not packages & {"torch", "transformers", "sympy", "huggingface_hub", "sklearn", "scipy"}
