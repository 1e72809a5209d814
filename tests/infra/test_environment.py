"""What a function is told: that it fits into Lambda is known before anything is deployed."""

import json
from pathlib import Path

import aws_cdk as cdk
import pytest

from infra.environment import FitsIntoLambda, size_of
from infra.functions import function_of
from infra.stage import STAGES

BUNDLE = {"Fn::Sub": "s3://cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}/0123456789abcdef.zip"}


def tell(folder: Path, environment: dict[str, str], **later: str) -> None:
    """Synthesize a function that is told this and, by another part of its stack, something more."""
    app = cdk.App(outdir=str(folder))
    stage = STAGES["dev"]
    function = function_of(cdk.Stack(app, "Only"), "Keys", stage.keys, stage=stage, environment=environment)
    for name, value in later.items():
        function.add_environment(name, value)
    cdk.Validations.of(app).add_plugins(FitsIntoLambda())
    app.synth()


def test_an_environment_that_lambda_would_refuse_is_refused_before_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        tell(tmp_path, {"BOTS": "x" * 4096})

    said = (tmp_path / "validation-report.json").read_text()  # which the CDK CLI prints
    assert "Only/Keys" in said
    assert "Lambda takes 4,096" in said
    assert "deploy fewer bots" in said


def test_what_fits_is_deployed_and_what_is_told_or_filled_in_later_counts(tmp_path: Path) -> None:
    here = f"{cdk.Aws.REGION}-{cdk.Aws.ACCOUNT_ID}-" * 8

    tell(tmp_path / "fits", {"BOTS": "x" * 3900})
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        tell(tmp_path / "told", {"BOTS": "x" * 3900}, LATER="x" * 200)
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        tell(tmp_path / "filled", {"BOTS": "x" * 3900, "HERE": here})


def test_the_size_is_that_of_json_in_bytes() -> None:
    access = json.dumps({"support": {"tenant": "acme"}})

    assert size_of({"A": "b"}) == len('{"A":"b"}')
    assert size_of({"A": access}) == len(json.dumps({"A": access}, separators=(",", ":")))
    assert size_of({"A": "\N{GRINNING FACE}"}) == len('{"A":""}') + 4


def test_what_cloudformation_fills_in_is_as_long_as_it_may_get() -> None:
    nothing = size_of({"A": ""})

    assert size_of({"A": {"Ref": "AWS::AccountId"}}) == nothing + 12
    assert size_of({"A": {"Fn::Join": ["/", ["s3:", {"Ref": "AWS::Region"}]]}}) == nothing + 4 + 14
    assert size_of({"A": BUNDLE}) == nothing + len(BUNDLE["Fn::Sub"])
    assert size_of({"A": {"Ref": "Table"}}) == nothing + 80
