"""The CDK app: one stage of Parley, as three to six stacks.

    state ◀── chat            conversations, and the functions that hold them
      ▲        ├────▶ knowledge   the documents that were put in, and what was made of them
      │        ├────▶ cluster the language model on machines of its own, if it is too large for one
      │        └────▶ cache   a server in front of shared replies, where it is switched on
      └────── generation      the language model behind SageMaker; a laptop has none in CDK
    edge                      what WAF refuses before anything else sees it, in us-east-1; a laptop has none

The only reader of the context:
    stage            local, dev or prod
    generator        another language model than the stage's own: its name in infra/generators.py or, for one that is
                     there already, the fields of `Elsewhere` in that file, as JSON; optional
    second           a smaller one beside it, by its name too; optional
    cache            a cache server, by its name in infra/stage.py; without it there is none
    issuers          who signs people in: a list of the fields of `Issuer` in infra/access.py, as JSON; optional
    quotas           how much may be asked, in place of the stage's own: the fields of `Quotas` there, as JSON; optional
    slack            `true`: people talk to the bot in Slack, too; optional
    domain           the name that people know the address by, in place of CloudFront's own; optional
    certificate      the ARN of its certificate in us-east-1
    slack_client_id  the app's, where several workspaces of Slack may install it; optional
    layers           the folder of built layers
    bundles          the compiled bots, separated by commas
    sagemaker_url    stage local only: the server that speaks SageMaker's runtime protocol
    aws_url          stage local only: the local AWS, where WebSockets connect to
    slack_url        stage local only: the server that stands in for Slack's Web API
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.access import read_issuers, read_quotas
from infra.cache_stack import CacheStack
from infra.chat_stack import ChatStack
from infra.cluster_stack import ClusterStack
from infra.edge_stack import REGION, EdgeStack
from infra.environment import FitsIntoLambda
from infra.generation_stack import GenerationStack
from infra.generators import GENERATORS, ClusterSize, Elsewhere, EndpointSize
from infra.knowledge_stack import KnowledgeStack
from infra.packaging import ROOT, Build, bot_name
from infra.stage import CACHES, STAGES, Domain, Stage
from infra.state_stack import StateStack

_BUNDLED_GENERATOR = ROOT / "models" / "generator" / "artefact" / "genai_config.json"


def parley(app: cdk.App) -> None:
    """Put the stacks of the stage that the context names into `app`."""
    stage = STAGES[app.node.get_context("stage")]
    chosen_by_context = (
        _with_generators,
        _with_memory,
        _with_cache,
        _with_slack,
        _with_slack_client,
        _with_access,
        _with_domain,
    )
    for chosen in chosen_by_context:
        stage = chosen(stage, app)
    bundles = [Path(path) for path in app.node.get_context("bundles").split(",")]
    build = Build(Path(app.node.get_context("layers")), {bot_name(path): path for path in bundles})

    state = StateStack(app, f"Parley-{stage.name}-State", stage=stage, **_options(stage))
    cluster = _cluster(app, stage, state)
    cache = _cache(app, stage, state, cluster)
    local_settings = _local_settings(app, stage, build) if stage.name == "local" else {}
    knowledge = KnowledgeStack(
        app,
        f"Parley-{stage.name}-Knowledge",
        stage=stage,
        build=build,
        state=state,
        local_settings={name: value for name, value in local_settings.items() if name == "ENCODER_DIR"},
        **_options(stage),
    )
    chat = ChatStack(
        app,
        f"Parley-{stage.name}-Chat",
        stage=stage,
        build=build,
        state=state,
        knowledge=knowledge,
        cluster=cluster.reach if cluster else None,
        cache=cache,
        local_aws=app.node.get_context("aws_url") if stage.name == "local" else None,
        local_settings=local_settings,
        **_options(stage),
    )
    if stage.edge:
        # Of the rest neither account nor region is known before it is deployed.
        at_the_edge = cdk.Environment(region=REGION)
        chat.add_stack_dependency(
            EdgeStack(
                app,
                f"Parley-{stage.name}-Edge",
                stage=stage,
                size=stage.edge,
                env=at_the_edge,
                **_options(stage),
            )
        )
    if stage.endpoints:
        GenerationStack(
            app, f"Parley-{stage.name}-Generation", endpoints=stage.endpoints, alarms=state.alarms, **_options(stage)
        )
    cdk.Tags.of(app).add("app", "parley")
    cdk.Tags.of(app).add("stage", stage.name)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), FitsIntoLambda())


def _cluster(app: cdk.App, stage: Stage, state: StateStack) -> ClusterStack | None:
    if not isinstance(stage.generator, ClusterSize):
        return None
    name, size = f"Parley-{stage.name}-Cluster", stage.generator
    return ClusterStack(app, name, stage=stage, size=size, alarms=state.alarms, **_options(stage))


def _cache(app: cdk.App, stage: Stage, state: StateStack, cluster: ClusterStack | None) -> CacheStack | None:
    if stage.cache is None:
        return None
    return CacheStack(
        app,
        f"Parley-{stage.name}-Cache",
        stage=stage,
        size=stage.cache,
        key=state.key,
        alarms=state.alarms,
        network=cluster.reach.network if cluster else None,
        **_options(stage),
    )


def _with_generators(stage: Stage, app: cdk.App) -> Stage:
    """The stage with the language models that the context names in place of its own."""
    first, second = (app.node.try_get_context(name) for name in ("generator", "second"))
    if first:
        stage = replace(stage, generator=_generator(first))
    if second:
        size = _generator(second)
        if not isinstance(size, EndpointSize) or size.sleeps:
            raise ValueError(f"{second!r} cannot be the second generator: that one is an endpoint, and always there")
        stage = replace(stage, second_generator=size)
    return stage


def _with_memory(stage: Stage, app: cdk.App) -> Stage:
    """The stage with the limit that the context names to what is searched in memory."""
    most = app.node.try_get_context("passages_in_memory")
    return replace(stage, passages_in_memory=int(most)) if most else stage


def _with_cache(stage: Stage, app: cdk.App) -> Stage:
    """The stage with the cache server that the context names."""
    name = app.node.try_get_context("cache")
    if not name:
        return stage
    if stage.name == "local":
        raise ValueError("the local AWS has no network for a cache server")
    if name not in CACHES:
        raise ValueError(f"{name!r} is no cache server; infra/stage.py has {[*CACHES]}")
    return replace(stage, cache=CACHES[name])


def _with_slack(stage: Stage, app: cdk.App) -> Stage:
    """The stage with the Slack channel, if the context switches it on."""
    match app.node.try_get_context("slack"):
        case None:
            return stage
        case "true" | True:
            return replace(stage, has_slack=True)
        case "false" | False:
            return replace(stage, has_slack=False)
        case other:
            raise ValueError(f"slack is {other!r}; say `true` or `false`")


def _with_access(stage: Stage, app: cdk.App) -> Stage:
    """The stage with the issuers and the quotas that the context names."""
    issuers, quotas = (app.node.try_get_context(name) for name in ("issuers", "quotas"))
    if issuers:
        stage = replace(stage, issuers=read_issuers(issuers))
    return replace(stage, quotas=read_quotas(quotas)) if quotas else stage


def _with_domain(stage: Stage, app: cdk.App) -> Stage:
    """The stage with the name that the context gives its address."""
    name, certificate = (app.node.try_get_context(given) for given in ("domain", "certificate"))
    if not name and not certificate:
        return stage
    if stage.edge is None:
        raise ValueError(f"stage {stage.name} has no edge that could have a domain")
    if not name or not certificate:
        raise ValueError("a domain needs its certificate, and a certificate its domain")
    return replace(stage, edge=replace(stage.edge, domain=Domain(name, certificate)))


def _with_slack_client(stage: Stage, app: cdk.App) -> Stage:
    """The stage with the app of Slack's that the context names."""
    client_id = app.node.try_get_context("slack_client_id")
    return replace(stage, slack_client_id=str(client_id)) if client_id else stage


def _generator(chosen: str | dict[str, Any]) -> EndpointSize | ClusterSize | Elsewhere:
    if isinstance(chosen, str) and chosen.startswith("{"):
        chosen = dict(json.loads(chosen))
    if isinstance(chosen, dict):
        return Elsewhere(**chosen)
    if chosen not in GENERATORS:
        raise ValueError(f"{chosen!r} is no generator; infra/generators.py has {[*GENERATORS]}")
    return GENERATORS[chosen]


def _local_settings(app: cdk.App, stage: Stage, build: Build) -> dict[str, str]:
    tokenizer = (build.layers / "encoder" / "tokenizer").resolve()
    bundled = {"GENERATOR_CONTEXT_TOKENS": str(json.loads(_BUNDLED_GENERATOR.read_text())["model"]["context_length"])}
    has_template = isinstance(stage.generator, Elsewhere) and stage.generator.has_template
    return {
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": app.node.get_context("sagemaker_url"),
        "SUBSCRIBERS_ON_LOOPBACK": "true",
        "SLACK_API_URL": f"{app.node.get_context('slack_url')}/api/",
        # The local AWS runs functions as processes of this machine and mounts no /opt.
        "ENCODER_DIR": str((build.layers / "encoder" / "encoder").resolve()),
        "GENERATOR_TOKENIZER": str(tokenizer / "tokenizer.json"),
        **({"GENERATOR_TEMPLATE": str(tokenizer)} if has_template else {}),
        **({} if stage.generator else bundled),
    }


def _options(stage: Stage) -> dict[str, Any]:
    # The emulator refuses the role that CDK's bootstrap makes for publishing files: there the CLI's own key publishes.
    synthesizer = cdk.CliCredentialsStackSynthesizer() if stage.name == "local" else cdk.DefaultStackSynthesizer()
    return {"synthesizer": synthesizer, "termination_protection": stage.keeps_data}


if __name__ == "__main__":
    app = cdk.App()
    parley(app)
    app.synth()
