"""Structured logs: one JSON line per record, by Powertools; what people wrote never goes in."""

import logging

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter


def name_request(request_id: str) -> None:
    """From now on every line says to which invocation it belongs."""
    for handler in logging.getLogger("parley").handlers:
        if isinstance(handler.formatter, LambdaPowertoolsFormatter):
            handler.formatter.append_keys(function_request_id=request_id)


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
