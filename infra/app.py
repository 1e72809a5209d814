"""The CDK app: one stage of Parley, as two or three stacks.

    state ◀── chat            conversations, and the functions that hold them
      ▲
      └────── generation      the language model; a laptop has none in CDK

The only reader of the context:
    stage            local, dev or prod
    layers           the folder of built layers
    bundles          the compiled bots, separated by commas
    sagemaker_url    stage local only: the server that speaks SageMaker's runtime protocol
    aws_url          stage local only: the local AWS, where WebSockets connect to
"""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.chat_stack import ChatStack
from infra.generation_stack import GenerationStack
from infra.packaging import Build, bot_name
from infra.stage import STAGES, Stage
from infra.state_stack import StateStack


def parley(app: cdk.App) -> None:
    """Put the stacks of the stage that the context names into `app`."""
    stage = STAGES[app.node.get_context("stage")]
    bundles = [Path(path) for path in app.node.get_context("bundles").split(",")]
    build = Build(Path(app.node.get_context("layers")), {bot_name(path): path for path in bundles})

    state = StateStack(app, f"Parley-{stage.name}-State", stage=stage, **_options(stage))
    ChatStack(
        app,
        f"Parley-{stage.name}-Chat",
        stage=stage,
        build=build,
        state=state,
        local_aws=app.node.get_context("aws_url") if stage.name == "local" else None,
        local_settings=_local_settings(app, build) if stage.name == "local" else {},
        **_options(stage),
    )
    if stage.generator is not None:
        GenerationStack(
            app,
            f"Parley-{stage.name}-Generation",
            stage=stage,
            generator=stage.generator,
            alarms=state.alarms,
            **_options(stage),
        )
    cdk.Tags.of(app).add("app", "parley")
    cdk.Tags.of(app).add("stage", stage.name)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def _local_settings(app: cdk.App, build: Build) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": app.node.get_context("sagemaker_url"),
        # The local AWS runs functions as processes of this machine and mounts no /opt.
        "ENCODER_DIR": str((build.layers / "encoder" / "encoder").resolve()),
    }


def _options(stage: Stage) -> dict[str, Any]:
    # The emulator refuses the role that CDK's bootstrap makes for publishing files: there the CLI's own key publishes.
    synthesizer = cdk.CliCredentialsStackSynthesizer() if stage.name == "local" else cdk.DefaultStackSynthesizer()
    return {"synthesizer": synthesizer, "termination_protection": stage.keeps_data}


if __name__ == "__main__":
    app = cdk.App()
    parley(app)
    app.synth()
