"""Deploy a stage to the AWS account of your credentials, or only write its CloudFormation templates.

    python scripts/deploy.py deploy --stage dev          (make deploy STAGE=dev)
    python scripts/deploy.py synth --stage prod          (make synth STAGE=prod)

Builds what Lambda runs, then hands over to the unmodified CDK CLI, which asks before it widens any permission. The
account must have been bootstrapped once: npx cdk bootstrap. `synth` needs neither an account nor credentials.

To try another language model than the stage's own, name one of infra/generators.py in the environment:
PARLEY_GENERATOR, and PARLEY_SECOND_GENERATOR for a smaller one beside it. PARLEY_PASSAGES_IN_MEMORY says from how many
passages on a bot's documents are searched in DynamoDB. PARLEY_CACHE_SERVER names a cache server of infra/stage.py for
replies that many ask for. PARLEY_SLACK=true lets people talk to the bot in Slack; PARLEY_ISSUERS says who signs
people in, and PARLEY_QUOTAS how much may be asked, both as JSON. PARLEY_DOMAIN is the name by which people shall know
the address, with the ARN of its certificate in PARLEY_CERTIFICATE. What shall stay belongs into infra/stage.py.

What guards the address is always in us-east-1, which must have been bootstrapped too. It is deployed first, for the
chat stack, wherever that is, must be told its ARN.
"""

import argparse
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from build import build, node_environment
from steps import PARLEY, ROOT, Stop, finish

CONTEXT = {  # variable -> what infra/app.py calls it
    "PARLEY_GENERATOR": "generator",
    "PARLEY_SECOND_GENERATOR": "second",
    "PARLEY_PASSAGES_IN_MEMORY": "passages_in_memory",
    "PARLEY_CACHE_SERVER": "cache",
    "PARLEY_SLACK": "slack",
    "PARLEY_ISSUERS": "issuers",
    "PARLEY_QUOTAS": "quotas",
    "PARLEY_DOMAIN": "domain",
    "PARLEY_CERTIFICATE": "certificate",
}


def main() -> None:
    """Build, then `cdk deploy` or `cdk synth`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("deploy", "synth"))
    parser.add_argument("--stage", choices=("dev", "prod"), required=True)
    arguments = parser.parse_args()

    built = build("lambda")
    output = PARLEY / "cdk" / arguments.stage
    told = ["-c", f"stage={arguments.stage}", *built.context]
    for variable, name in CONTEXT.items():
        if chosen := os.environ.get(variable):
            told += ["-c", f"{name}={chosen}"]
    _cdk("synth", "--quiet", "--output", output, *told)
    if arguments.command == "synth":
        print(f"Templates: {output.relative_to(ROOT)}/*.template.json")
    else:
        _cdk("deploy", "--all", "--app", output, *_guarded(arguments.stage, output))


def _guarded(stage: str, output: Path) -> Sequence[str]:
    """What the chat stack must be told of the edge stack, after that one is deployed; nothing where there is none."""
    edge = f"Parley-{stage}-Edge"
    if edge not in json.loads((output / "manifest.json").read_text())["artifacts"]:
        return ()
    outputs = output / "edge-outputs.json"
    _cdk("deploy", edge, "--app", output, "--outputs-file", outputs)
    web_acl = json.loads(outputs.read_text())[edge]["WebAcl"]
    return "--parameters", f"Parley-{stage}-Chat:WebAcl={web_acl}"


def _cdk(command: str, *options: str | Path) -> None:
    cdk = ROOT / "node_modules" / ".bin" / "cdk"
    # In the terminal's own hands, for CDK asks questions.
    if subprocess.run([cdk, command, *options], cwd=ROOT, env=node_environment(), check=False).returncode != 0:
        raise Stop(f"cdk {command} failed.")


if __name__ == "__main__":
    finish(main)
