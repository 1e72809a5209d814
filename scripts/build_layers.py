"""Build the Lambda layers that are not in the repository as they stand.

    python scripts/build_layers.py --target local|lambda

    dependencies          what every function imports
    encoder               the encoder; the tokenizer with which prompts are counted, and the chat template beside it
    tensorflow_serving    gRPC, and
    chat_template         Jinja: each only for functions whose generator needs it
    documents             what reads uploaded documents, for the function that takes them in
    identity              what checks the tokens of who is signed in, for stages that have issuers

`local` is for the interpreter this runs under, which is also the one the local AWS runs functions with; `lambda` is for
python3.13 on x86_64, from wheels alone, on any machine. What no function uses at run time is left out. Prints what each
package weighs, and fails when all a function unpacks weighs more than the budget. A layer whose sources have not
changed is not built again.
"""

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from steps import PARLEY, ROOT, Step, Stop, finish, run

SOURCES = ROOT / "layers"
ENCODER = ROOT / "models" / "encoder"
ENCODER_FILES = ("model.onnx", "tokenizer.json", "config.json")
TOKENIZER = ROOT / "models" / "generator" / "artefact" / "tokenizer.json"
CHAT_TEMPLATE_FILES = ("chat_template.jinja", "tokenizer_config.json")
PACKAGE = ROOT / "layers" / "parley"

BUDGET_MB = 150  # a cold start reads what it imports from here
LIMIT_MB = 250  # Lambda's own, unpacked: what the rest keeps to: a tokenizer, which is read when first a prompt is
# counted, and the layers that few functions have

SELDOM = ("tensorflow_serving", "chat_template", "documents", "identity")  # layers that only some functions have

# Every AWS service that a function calls: botocore carries the models of 400 others.
AWS_SERVICES = (
    "apigatewaymanagementapi",
    "dynamodb",
    "events",
    "kms",
    "lambda",
    "s3",
    "sagemaker-runtime",
    "secretsmanager",
    "sqs",
    "sts",
)

# Of Powertools, what stands by itself and no function uses.
_UTILITIES = (
    "auth_alpha", "circuit_breaker", "data_masking", "feature_flags", "idempotency", "kafka", "streaming", "validation",
)  # fmt: skip

# Of slack_sdk, all but the synchronous client of the Web API.
_SLACK = (
    "audit_logs", "oauth", "rtm", "rtm_v2", "scim", "socket_mode", "webhook/async_client.py", "web/async_*.py",
    "web/legacy_*.py", "models/dialogs",
)  # fmt: skip

# What no function imports, as globs below the layer's python/.
NOT_AT_RUN_TIME = (
    *(f"aws_lambda_powertools/utilities/{name}" for name in _UTILITIES),
    "slack",  # the name that slack_sdk had before
    *(f"slack_sdk/{name}" for name in _SLACK),
    *(f"numpy/{name}" for name in ("fft", "ma", "polynomial", "testing")),  # each imported when first it is named
    *(f"valkey/commands/{name}" for name in ("bf", "graph", "json", "search", "timeseries")),  # of servers' modules
    "**/*.pxd",
    "**/*.pyi",
    "**/py.typed",
    "**/tests",
    "bin",
    "*.dist-info",
    "boto3/data",
    "dateutil/zoneinfo/*.tar.gz",  # tzdata has the same
    "urllib3/contrib/emscripten",
    "boto3/examples",
    "botocore/data/**/examples-1.json",  # for documentation
    "phonenumbers/shortdata/region_*",  # of numbers such as 112, which nobody leaves to be called back
    "numpy/_core/_simd.*",  # for numpy's own tests
    "numpy/_core/include",
    "numpy/_core/lib",
    "numpy/_pyinstaller",
    "numpy/conftest.py",
    "numpy/doc",
    "numpy/distutils",  # there until Python 3.12
    "numpy/f2py",
    "numpy/random",
    "onnxruntime/backend",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "onnxruntime/capi/libonnxruntime.*",  # for programs in C; Python's extension has the runtime in it
    "pydantic/v1",
    "pydantic/mypy.py",
)

# Proof that nothing needed was left out, for each layer of packages: run with the layer alone on the path.
_PROOFS = {
    "dependencies": f"""
import aws_lambda_powertools.event_handler, aws_lambda_powertools.event_handler.openapi.params
import aws_lambda_powertools.logging, aws_lambda_powertools.metrics, aws_lambda_powertools.utilities.batch
import boto3, msgspec, numpy.typing, onnxruntime, phonenumbers, pydantic, pynamodb.models, pynamodb.transactions
import slack_sdk, standardwebhooks, text_to_num, tokenizers, tzdata, valkey
for service in {AWS_SERVICES!r}:
    boto3.client(service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
tokenizers.Tokenizer.from_file({str(ENCODER / "tokenizer.json")!r}).encode("hello")
model = onnxruntime.InferenceSession({str(ENCODER / "model.onnx")!r}, providers=["CPUExecutionProvider"])
tokens = numpy.ones((1, 3), numpy.int64)
model.run(None, {{"input_ids": tokens, "attention_mask": tokens}})
""",
    "tensorflow_serving": """
import grpc, google.protobuf.message_factory
grpc.insecure_channel("dns:///localhost:1").close()
""",
    "chat_template": """
import jinja2.ext, jinja2.sandbox
assert jinja2.sandbox.ImmutableSandboxedEnvironment().from_string("{{ 1 }}").render() == "1"
""",
    "documents": """
import io, docx, lxml.etree, markdown_it, pypdf, ruamel.yaml
docx.Document().save(io.BytesIO())
""",
    "identity": """
import cryptography.hazmat.primitives.asymmetric.rsa as rsa, jwt
key = rsa.generate_private_key(65537, 2048)
assert jwt.decode(jwt.encode({"sub": "a"}, key, "RS256"), key.public_key(), ["RS256"]) == {"sub": "a"}
""",
}


@dataclass(frozen=True, slots=True)
class Target:
    """The machine that a layer is for."""

    name: str
    pip_options: tuple[str, ...]
    python: Path | None  # an interpreter of the target's own kind, where this machine has one


def target(name: str) -> Target:
    """`local`, or `lambda`."""
    if name == "local":
        return Target("local", (), Path(sys.executable))
    platforms = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
    options = ["--python-version", "3.13", "--implementation", "cp"]
    for wheels in platforms:
        options += ["--platform", wheels]
    return Target("lambda", tuple(options), _python_of_lambda())


def build_layers(target: Target, step: Step, encoder: Path = ENCODER, tokenizer: Path = TOKENIZER) -> Path:
    """The folder with a folder for each layer, built where its sources have changed.

    Raises:
        Stop: a build failed, what came of it does not import, or it weighs more than the budget
    """
    layers = PARLEY / "layers" / target.name
    for name in _PROOFS:
        lock = (SOURCES / name / "requirements.lock").read_bytes()
        made_from = (lock, Path(__file__).read_bytes(), str(target).encode(), sys.version.encode())
        _keep(layers / name, made_from, partial(_packages, name, target, step))
    files = {f"encoder/{name}": (encoder / name).read_bytes() for name in ENCODER_FILES}
    files[f"tokenizer/{TOKENIZER.name}"] = tokenizer.read_bytes()
    beside = [tokenizer.with_name(name) for name in CHAT_TEMPLATE_FILES]
    files |= {f"tokenizer/{file.name}": file.read_bytes() for file in beside if file.is_file()}
    _keep(layers / "encoder", files.values(), lambda folder: _models(folder, files))
    encoder_mb, tokenizer_mb = (megabytes(layers / "encoder" / name) for name in ("encoder", "tokenizer"))
    weights = {"dependencies": megabytes(layers / "dependencies"), "encoder": encoder_mb, "parley": megabytes(PACKAGE)}
    check_budget(weights)
    seldom = {name: megabytes(layers / name) for name in SELDOM}
    check_budget(weights | seldom | {"tokenizer": tokenizer_mb}, LIMIT_MB)
    step.say(", ".join(f"{name} {weight:.0f} MB" for name, weight in weights.items()))
    return layers


def check_budget(weights_mb: Mapping[str, float], budget_mb: int = BUDGET_MB) -> None:
    """Nothing, when the layers keep to the budget.

    Raises:
        Stop: they do not
    """
    total = sum(weights_mb.values())
    if total > budget_mb:
        parts = ", ".join(f"{name} {weight:.0f} MB" for name, weight in weights_mb.items())
        raise Stop(f"The layers weigh {total:.0f} MB, over the budget of {budget_mb} MB: {parts}.")


def megabytes(path: Path) -> float:
    """What a file, or all the files of a folder, weigh unpacked."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def packages_mb(python: Path) -> dict[str, float]:
    """What each package in a layer's python/ weighs, its native libraries included, heaviest first."""
    weights: dict[str, float] = {}
    for path in python.iterdir():
        name = path.name.removesuffix(".libs").split(".")[0]
        weights[name] = weights.get(name, 0) + megabytes(path)
    return dict(sorted(weights.items(), key=lambda item: -item[1]))


def _keep(folder: Path, made_from: Iterable[bytes], make: Callable[[Path], None]) -> None:
    """Make `folder`, unless it was made from the same things before; half a folder never gets its name."""
    mark = hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in made_from)).hexdigest()
    stamp = folder.with_name(f"{folder.name}.made-from")
    if stamp.is_file() and stamp.read_text() == mark and folder.is_dir():
        return
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    make(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    stamp.write_text(mark)


def _models(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def _packages(name: str, target: Target, step: Step, folder: Path) -> None:
    python = folder / "python"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-compile",
        "--only-binary=:all:",
        "--require-hashes",
    ]
    lock = SOURCES / name / "requirements.lock"
    run([*pip, *target.pip_options, "--target", python, "-r", lock], log=f"layers-{target.name}", step=step)
    _strip(python)
    if target.python is None:
        step.tell(
            "No python3.13 for x86_64 Linux here: the layer goes unproved and without bytecode; functions start slower."
        )
    else:
        step.say("proof by import")
        _prove(name, python, target.python)
        _compile(python, target.python)
    for name, weight in packages_mb(python).items():
        if weight >= 1:
            step.tell(f"{weight:6.1f} MB  {name}")


def _strip(python: Path) -> None:
    for pattern in NOT_AT_RUN_TIME:
        for path in list(python.glob(pattern)):
            _remove(path)
    for path in python.glob("botocore/data/*"):
        if path.is_dir() and path.name not in AWS_SERVICES:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _prove(name: str, python: Path, interpreter: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(python)!r}); {_PROOFS[name]}"
    # -S leaves out site-packages, -I the rest of the environment, -B writes nothing beside the sources.
    proof = subprocess.run([interpreter, "-I", "-S", "-B", "-c", script], capture_output=True, text=True, check=False)
    if proof.returncode != 0:
        raise Stop(f"The layer {name} does not import: {proof.stderr.strip().splitlines()[-1]}")


def _compile(python: Path, interpreter: Path) -> None:
    """Put bytecode beside the sources: Lambda mounts layers read-only and would compile them at every cold start.

    It is never checked against the sources, so that a layer's bytes do not depend on the hour it was built.
    """
    command = (interpreter, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")
    run([*command, "-s", python, "-p", "/opt/python", python], log="layers-bytecode")


def _python_of_lambda() -> Path | None:
    """A Python 3.13 for x86_64 Linux, if this machine has one."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    for name in (sys.executable, "python3.13"):
        try:
            asked = subprocess.run(
                [name, "-c", "import sys; print(*sys.version_info[:2], sys.executable)"],
                capture_output=True,
                text=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        major, minor, executable = asked.stdout.split(maxsplit=2)
        if (major, minor) == ("3", "13"):
            return Path(executable.strip())
    return None


def main() -> None:
    """Build the layers of the target named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=("local", "lambda"), default="local")
    arguments = parser.parse_args()
    with Step("layers") as step:
        build_layers(target(arguments.target), step)


if __name__ == "__main__":
    finish(main)
