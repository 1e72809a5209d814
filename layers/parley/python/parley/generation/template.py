"""A model's own chat template, rendered as transformers renders it.

Pure, but for reading the files once. Imported only where a template is named: it needs
jinja2, which comes in the layer `chat_template`. A template comes with a model from
somebody else, so it runs in a sandbox. Source: `apply_chat_template` and "Writing a
chat template" in transformers' documentation.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from parley.errors import BadSettings, GenerationFailed

_TEMPLATE, _CONFIG = "chat_template.jinja", "tokenizer_config.json"
_SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class ChatTemplate:
    """`transcript.Form` by the template in a model's folder.

    It is chat_template.jinja or, where older models have it, in tokenizer_config.json, which also names the tokens.

    Raises:
        BadSettings: there is no template in the folder, or it is none.
    """

    def __init__(self, folder: Path) -> None:
        try:
            config, template = _config(folder / _CONFIG), folder / _TEMPLATE
            source = template.read_text(encoding="utf-8") if template.is_file() else _source(config)
            self._template = _environment().from_string(source)
            self._tokens = {name: _token(config[name]) for name in _SPECIAL_TOKENS if config.get(name)}
        except (OSError, ValueError, LookupError, TypeError, AttributeError, TemplateError) as error:
            raise BadSettings(f"GENERATOR_TEMPLATE: no chat template can be read from {folder}") from error

    @property
    def stop(self) -> str:
        """See `transcript.Form.stop`."""
        return self._tokens.get("eos_token", "")

    def write(self, messages: Sequence[tuple[str, str]]) -> str:
        """See `transcript.Form.write`."""
        listed = [{"role": role, "content": content} for role, content in messages]
        try:
            return self._template.render(
                messages=listed, tools=None, documents=None, add_generation_prompt=True, **self._tokens
            )
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
            # Without the cause: templates quote messages in their complaints.
            raise GenerationFailed("the model's chat template does not take this conversation") from None


class _Generation(Extension):
    """`{% generation %}`, by which a template marks for training what the model itself says."""

    tags = {"generation"}  # noqa: RUF012 - a frozenset is not what jinja2 declares

    def parse(self, parser: Parser) -> list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _config(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _source(config: dict[str, Any]) -> str:
    match config["chat_template"]:
        case str(source):
            return source
        case named:
            return str({one["name"]: one["template"] for one in named}["default"])


def _token(value: Any) -> str:
    return str(value["content"]) if isinstance(value, dict) else str(value)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json  # jinja2's own escapes what HTML would take amiss
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.now(UTC).strftime(form)
    return environment


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)
