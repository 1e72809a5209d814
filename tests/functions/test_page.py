"""What the chat page makes of frames and turns: its pure modules, under the node that set-up installed."""

import subprocess
from pathlib import Path

import pytest

from build import node_environment

TESTS = sorted(Path(__file__).parent.glob("*.test.ts"))


@pytest.mark.parametrize("tests", TESTS, ids=lambda tests: tests.name)
def test_the_pages_own_tests_pass(tests):
    command = ["node", "--test", "--test-reporter=tap", tests]

    done = subprocess.run(command, env=node_environment(), capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
    assert "# pass 0" not in done.stdout
