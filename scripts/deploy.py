"""Deploy a stage to the AWS account of your credentials, or only write its CloudFormation templates.

    python scripts/deploy.py deploy --stage dev          (make deploy STAGE=dev)
    python scripts/deploy.py synth --stage prod          (make synth STAGE=prod)

Builds what Lambda runs, then hands over to the unmodified CDK CLI, which asks before it widens any permission. The
account must have been bootstrapped once: npx cdk bootstrap. `synth` needs neither an account nor credentials.

To try another language model than the stage's own, name one of infra/generators.py in the environment:
PARLEY_GENERATOR, and PARLEY_SECOND_GENERATOR for a smaller one beside it. PARLEY_PASSAGES_IN_MEMORY says from how many
passages on a bot's documents are searched in DynamoDB. PARLEY_CACHE_SERVER names a cache server of infra/stage.py for
replies that many ask for. PARLEY_SLACK=true lets people talk to the bot in Slack, and
PARLEY_SLACK_CLIENT_ID lets several workspaces install it. What shall stay belongs into infra/stage.py.
"""

import argparse
import os
import subprocess

from build import build, node_environment
from steps import PARLEY, ROOT, Stop, finish

CONTEXT = {  # variable -> what infra/app.py calls it
    "PARLEY_GENERATOR": "generator",
    "PARLEY_SECOND_GENERATOR": "second",
    "PARLEY_PASSAGES_IN_MEMORY": "passages_in_memory",
    "PARLEY_CACHE_SERVER": "cache",
    "PARLEY_SLACK": "slack",
    "PARLEY_SLACK_CLIENT_ID": "slack_client_id",
}


def main() -> None:
    """Build, then `cdk deploy` or `cdk synth`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("deploy", "synth"))
    parser.add_argument("--stage", choices=("dev", "prod"), required=True)
    arguments = parser.parse_args()

    built = build("lambda")
    output = PARLEY / "cdk" / arguments.stage
    how = ("--all",) if arguments.command == "deploy" else ("--quiet",)
    cdk = (ROOT / "node_modules" / ".bin" / "cdk", arguments.command, *how, "--output", output)
    told = ["-c", f"stage={arguments.stage}", *built.context]
    for variable, name in CONTEXT.items():
        if chosen := os.environ.get(variable):
            told += ["-c", f"{name}={chosen}"]
    # In the terminal's own hands, for CDK asks questions.
    if subprocess.run([*cdk, *told], cwd=ROOT, env=node_environment(), check=False).returncode != 0:
        raise Stop(f"cdk {arguments.command} failed.")
    if arguments.command == "synth":
        print(f"Templates: {output.relative_to(ROOT)}/*.template.json")


if __name__ == "__main__":
    finish(main)
