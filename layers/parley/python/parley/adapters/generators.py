"""The generator that the settings name.

Each adapter is imported only where it is the one: boto3's client, gRPC and Jinja each
cost a cold start a tenth of a second or more, and the latter two are not there unless
their layers are.
"""

from collections.abc import Callable
from pathlib import Path

from parley.errors import GenerationBusy, Unavailable
from parley.generation.transcript import Form, Transcript
from parley.ports import Generator, Patience
from parley.settings import Settings

TENSORFLOW_MODEL = "llm_chatbot"


def generator_from(settings: Settings, patience: Patience) -> Generator:
    """The generator of `settings`, which `read_settings` has checked.

    Raises:
        BadSettings: the chat template cannot be read.
    """
    url, model = settings.generator_url, settings.generator_model
    match settings.generator_backend:
        case "sagemaker":
            from parley.adapters.sagemaker import SageMakerGenerator

            return SageMakerGenerator(
                settings.generator_endpoint,
                silence_seconds=patience.first_seconds,
                component=settings.generator_component or None,
            )
        case "openai":
            from parley.adapters.openai_compatible import OpenAICompatibleGenerator

            return OpenAICompatibleGenerator(url, model, _key(settings))
        case "tensorflow_serving":
            from parley.adapters.tensorflow_serving import TensorFlowServingGenerator

            return TensorFlowServingGenerator(
                url,
                model or TENSORFLOW_MODEL,
                _form(settings),
                input_name=settings.generator_input,
                output_name=settings.generator_output,
            )
        case "torchserve":
            from parley.adapters.torchserve import torchserve

            return torchserve(url, model, _form(settings), settings.generator_body, _key(settings))
        case "ray_serve":
            from parley.adapters.ray_serve import ray_serve

            return ray_serve(url, model or url, _form(settings), settings.generator_body, _key(settings))


def second_generator_from(settings: Settings, patience: Patience) -> Generator | None:
    """The smaller generator of `settings`, if there is one: a SageMaker endpoint."""
    if not settings.generator_second_endpoint:
        return None
    from parley.adapters.sagemaker import SageMakerGenerator

    return SageMakerGenerator(settings.generator_second_endpoint, silence_seconds=patience.first_seconds)


def _form(settings: Settings) -> Form:
    if not settings.generator_template:
        return Transcript()
    from parley.generation.template import ChatTemplate

    return ChatTemplate(Path(settings.generator_template))


def _key(settings: Settings) -> Callable[[], str] | None:
    if not settings.generator_key_secret:
        return None
    from parley.adapters.secrets import secret_from

    secret = secret_from(settings.generator_key_secret)

    def key() -> str:
        try:
            return secret().decode().strip()  # a secret put in from a file ends in a line break
        except Unavailable as error:
            raise GenerationBusy("the generator's key could not be read") from error

    return key
