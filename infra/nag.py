"""Rules of cdk-nag that we knowingly break, each with its reason."""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct

NO_TLS = "The local AWS speaks plain HTTP, on the loopback interface alone."


def accept(construct: IConstruct, finding: str, reason: str) -> None:
    """Let one finding of cdk-nag stand for `construct` and what is inside it."""
    Validations.of(construct).acknowledge(Acknowledgment(id=finding, reason=reason))
