"""OpenAI's client for Node, run as somebody would who has it in a script."""

import json
import subprocess
from pathlib import Path
from typing import Any

from build import node_environment


def by_node(url: str, key: str) -> Any:
    """What the client got from a deployment, by the names of openai_client.mjs."""
    program = Path(__file__).with_name("openai_client.mjs")
    done = subprocess.run(
        ["node", program, url, key], env=node_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
