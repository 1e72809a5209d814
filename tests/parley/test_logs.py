"""What is logged stays discreet, whatever level somebody sets for a function."""

import logging
from collections.abc import Iterator

import pytest

from parley.logs import log_as_json


@pytest.fixture
def loggers() -> Iterator[None]:
    """Leaves the loggers as they were."""
    package, powertools = logging.getLogger("parley"), logging.getLogger("aws_lambda_powertools")
    before = package.handlers, package.level, package.propagate, powertools.level
    yield
    package.handlers, package.propagate = before[0], before[2]
    package.setLevel(before[1])
    powertools.setLevel(before[3])


def test_powertools_never_writes_the_arguments_of_routes(loggers: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        log_as_json("chat")

        is_written = logging.getLogger("aws_lambda_powertools.event_handler.api_gateway").isEnabledFor(logging.DEBUG)

    assert not is_written
