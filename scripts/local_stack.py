"""The deployed stack on this machine: the local AWS, the generator, and CDK's own CLI between them.

Knows which processes make it up, in which order they start, and how they all end. `make run` and the tests of the
deployed stack both stand on it. Nothing of it listens on anything but the loopback interface.
"""

import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3

from build import Built, build, node_environment
from setup import VENV
from steps import LOGS, PARLEY, ROOT, Step, Stop, end, latest_lines, run, start

HOST = "127.0.0.1"
ACCOUNT = "000000000000"
REGION = "us-east-1"
ENDPOINT_NAME = "parley-local-generator"  # as infra/stage.py names it

TENANTS = ("main", "weir-street")  # of the example bots
AUDIENCE, OPERATORS = "parley", "desk"  # for whom an issuer's tokens are, and the group of those who operate
QUOTAS = {"user": {"turns_per_minute": 60}, "key": {"turns_per_minute": 60}}

PORT_VARIABLES = (
    "PARLEY_PORT",
    "PARLEY_GENERATOR_PORT",
    "PARLEY_SAGEMAKER_PORT",
    "PARLEY_GRPC_PORT",
    "PARLEY_SLACK_PORT",
    "PARLEY_ISSUER_PORT",
)

_SCRATCH = PARLEY / "tmp"
_READY_WITHIN_SECONDS = 60
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the three servers listen, the generator on two; and where Slack and an issuer may be stood in for."""

    http: int
    generator: int
    sagemaker: int
    grpc: int
    slack: int
    issuer: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """The root key of the local AWS; made anew for each run."""

    access_key_id: str
    secret_access_key: str


class LocalStack:
    """The stack while it runs: `with LocalStack("run", ports) as stack:`.

    Attributes:
        http: the HTTP API, and the chat page
        websocket: where a WebSocket connects to
        generator: the container that serves the language model
        grpc: where that container speaks TensorFlow Serving's API
        sagemaker: the server that speaks SageMaker's runtime protocol in front of it
        slack: where functions look for Slack's Web API; nothing of the stack listens there
        issuer: who signs people in, with the name of a tenant behind it; nothing of the stack listens there either
        aws_endpoint, region, credentials: for clients of the local AWS
        outputs: what each deployed stack tells, by stack and name
    """

    def __init__(self, name: str, ports: Ports, *, more_bots: Sequence[Path] = ()) -> None:
        self._name = name
        self._ports = ports
        self._more_bots = tuple(more_bots)  # bundles, beside the example bots
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._scratch = _SCRATCH / f"{name}-{os.getpid()}"
        self.aws_endpoint = _url(ports.http)
        self.generator = _url(ports.generator)
        self.grpc = f"{HOST}:{ports.grpc}"
        self.sagemaker = _url(ports.sagemaker)
        self.slack = _url(ports.slack)
        self.issuer = _url(ports.issuer)
        self.region = REGION
        self.credentials = Credentials("parley", secrets.token_hex(20))
        self.outputs: dict[str, dict[str, str]] = {}
        self.http = ""
        self.websocket = ""

    def __enter__(self) -> Self:
        for port in astuple(self._ports):
            _check_free(port)
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, failed: type[BaseException] | None, cause: BaseException | None, at: TracebackType | None
    ) -> None:
        self._end()

    def client(self, service: str) -> Any:
        """A boto3 client of the local AWS with its root key."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # which service is the caller's to say
            endpoint_url=self.aws_endpoint,
            region_name=self.region,
            aws_access_key_id=self.credentials.access_key_id,
            aws_secret_access_key=self.credentials.secret_access_key,
        )

    def start_generator(self) -> None:
        """Serve the language model, and return when it is loaded."""
        self._start_generator()
        self._until_answered("generator", f"{self.generator}/ping")

    def stop_generator(self) -> None:
        """End the server of the language model; the SageMaker front stays."""
        end(self._processes.pop("generator"))

    @property
    def process_groups(self) -> list[int]:
        """The groups of processes that make up the stack now."""
        return [process.pid for process in self._processes.values()]

    def dead(self) -> list[str]:
        """The processes that have ended by themselves, each told once."""
        gone = [name for name, process in self._processes.items() if process.poll() is not None]
        for name in gone:
            end(self._processes.pop(name))
        return gone

    def _start(self) -> None:
        _sweep()
        self._scratch.mkdir(parents=True)
        self._start_aws()  # both load while the build runs
        self._start_generator()
        built = build("local")
        built = replace(built, bundles=(*built.bundles, *self._more_bots))
        with Step("local AWS") as step:
            self._until_answered("local AWS", f"{self.aws_endpoint}/_ministack/health")
            step.say(self.aws_endpoint)
        with Step("generator") as step:
            self._until_answered("generator", f"{self.generator}/ping")
            self._start_sagemaker()
            step.say(self.generator)
        with Step("bootstrap") as step:
            self._bootstrap(step)
        with Step("deploy") as step:
            self._deploy(built, step)
        with Step("warm") as step:
            self._until_answered("local AWS", f"{self.http}/v1/health")
            step.say("")

    def _start_aws(self) -> None:
        # The environment is bare: functions inherit it, and must not find this person's AWS settings there.
        self._spawn(
            "local AWS",
            [VENV / "bin" / "ministack"],
            {
                **_bare_environment(),
                "BIND_HOST": HOST,  # it would bind every interface
                "MINISTACK_HOST": HOST,  # `localhost` may mean ::1, where it does not listen
                "GATEWAY_PORT": str(self._ports.http),
                "AUTH": "true",
                "AWS_ACCESS_KEY_ID": self.credentials.access_key_id,
                "AWS_SECRET_ACCESS_KEY": self.credentials.secret_access_key,
                "MINISTACK_REGION": self.region,
                "MINISTACK_ACCOUNT_ID": ACCOUNT,
                "IOT_MTLS_ENABLED": "0",
                "SFTP_ENABLED": "0",
                "TMPDIR": str(self._scratch),  # each warm function unpacks its layers here
            },
        )

    def _start_generator(self) -> None:
        program = ROOT / "models" / "generator" / "serve.py"
        where = ("--host", HOST, "--port", str(self._ports.generator), "--grpc-port", str(self._ports.grpc))
        self._spawn("generator", [sys.executable, program, *where], _bare_environment())

    def _start_sagemaker(self) -> None:
        program = ROOT / "models" / "generator" / "sagemaker_runtime.py"
        behind = ("--container", self.generator, "--endpoint-name", ENDPOINT_NAME)
        where = ("--host", HOST, "--port", str(self._ports.sagemaker))
        self._spawn("sagemaker", [sys.executable, program, *behind, *where], _bare_environment())

    def _bootstrap(self, step: Step) -> None:
        self._cdk(["bootstrap", f"aws://{ACCOUNT}/{self.region}", "--app", ""], log="bootstrap", step=step)
        # The bucket's policy refuses plain HTTP, which is all that the local AWS speaks.
        s3 = self.client("s3")
        for bucket in s3.list_buckets()["Buckets"]:
            s3.delete_bucket_policy(Bucket=bucket["Name"])
        step.say("")

    def _deploy(self, built: Built, step: Step) -> None:
        outputs = self._scratch / "outputs.json"
        context = [*built.context, "-c", "stage=local", "-c", f"sagemaker_url={self.sagemaker}"]
        context += ["-c", f"aws_url={self.aws_endpoint}", "-c", f"slack_url={self.slack}"]
        context += ["-c", f"issuers={json.dumps([self._issuer_of(tenant) for tenant in TENANTS])}"]
        context += ["-c", f"quotas={json.dumps(QUOTAS)}"]
        options = ["--require-approval", "never", "--method", "direct", "--outputs-file", str(outputs)]
        where = ["--output", str(PARLEY / "cdk" / self._name)]
        self._cdk(["deploy", "--all", *options, *where, *context], log="deploy", step=step)
        self.outputs = json.loads(outputs.read_text())
        chat = self.outputs["Parley-local-Chat"]
        self.http = f"{self.aws_endpoint}/_aws/execute-api/{chat['HttpApiId']}"
        self.websocket = chat["SocketAddress"]
        self._let_pages_ask(chat["HttpApiId"])
        step.say("")

    def _let_pages_ask(self, api: str) -> None:
        """Say again what the template says of CORS: the local AWS keeps it in a case that it does not read."""
        template = json.loads((PARLEY / "cdk" / self._name / "Parley-local-Chat.template.json").read_text())
        apis = (each for each in template["Resources"].values() if each["Type"] == "AWS::ApiGatewayV2::Api")
        (cors,) = filter(None, (each["Properties"].get("CorsConfiguration") for each in apis))
        self.client("apigatewayv2").update_api(ApiId=api, CorsConfiguration=cors)

    def _issuer_of(self, tenant: str) -> dict[str, str]:
        return {"issuer": f"{self.issuer}/{tenant}", "audience": AUDIENCE, "tenant": tenant, "operators": OPERATORS}

    def _cdk(self, arguments: list[str], *, log: str, step: Step) -> None:
        cdk = ROOT / "node_modules" / ".bin" / "cdk"
        run(
            [cdk, *arguments, "--no-notices", "--ci"], log=f"{self._name}-{log}", step=step, env=self._aws_environment()
        )

    def _aws_environment(self) -> dict[str, str]:
        return {
            **_bare_environment(),
            "AWS_ACCESS_KEY_ID": self.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.aws_endpoint,
            "AWS_ENDPOINT_URL_S3": self.aws_endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        }

    def _spawn(self, name: str, command: list[str | Path], environment: dict[str, str]) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        with self._log(name).open("w") as log:
            self._processes[name] = start(command, output=log, errors=log, env=environment)

    def _log(self, name: str) -> Path:
        return LOGS / f"{self._name}-{name.replace(' ', '-')}.log"

    def _until_answered(self, name: str, url: str) -> None:
        """Wait until `url` answers 200."""
        deadline = time.monotonic() + _READY_WITHIN_SECONDS
        while time.monotonic() < deadline:
            if self._processes[name].poll() is not None:
                raise Stop(f"The {name} ended before it was ready:\n{latest_lines(self._log(name))}")
            with suppress(OSError, http.client.HTTPException), urllib.request.urlopen(url, timeout=5):
                return
            time.sleep(_POLL_SECONDS)
        raise Stop(f"The {name} was not ready within {_READY_WITHIN_SECONDS} s:\n{latest_lines(self._log(name))}")

    def _end(self) -> None:
        with _deaf_to_interrupts():
            end(*self._processes.values())
            self._processes.clear()
            shutil.rmtree(self._scratch, ignore_errors=True)


def free_ports() -> Ports:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in fields(Ports)]
        for each in sockets:
            each.bind((HOST, 0))
        return Ports(*(each.getsockname()[1] for each in sockets))


def _sweep() -> None:
    """Remove what a run left that was killed before it could."""
    for folder in _SCRATCH.glob("*-*"):
        try:
            os.kill(int(folder.name.rpartition("-")[2]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just left is free
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Stop(f"Port {port} is taken; `make run` reads others from {', '.join(PORT_VARIABLES)}.") from error


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _bare_environment() -> dict[str, str]:
    """What a program needs to run here, and nothing of this person's own settings."""
    return node_environment(
        {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    )


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """While everything is being ended, a second Ctrl-C must not leave half of it running."""
    ears = {sign: signal.signal(sign, signal.SIG_IGN) for sign in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for sign, ear in ears.items():
            signal.signal(sign, ear)
