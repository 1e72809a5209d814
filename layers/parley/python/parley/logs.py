"""Structured logs: one JSON line per record, by Powertools; what people wrote never goes in."""

import logging

from aws_lambda_powertools import Logger


def log_as_json(service: str) -> None:
    """Makes every `parley` logger write JSON lines with the function's name."""
    handler = Logger(service=service).handlers[0]
    package = logging.getLogger("parley")
    package.handlers = [handler]
    package.setLevel(logging.INFO)
    package.propagate = False
    # At DEBUG it writes the arguments of routes, which are what people said and the secrets that they showed; so not
    # even if somebody sets the function's log level to DEBUG.
    logging.getLogger("aws_lambda_powertools").setLevel(logging.INFO)
