"""Chat templates of models, rendered as transformers renders them."""

import json
from pathlib import Path

import pytest

from parley.errors import BadSettings, GenerationFailed
from parley.generation.template import ChatTemplate

CHATML = (
    "{% for message in messages %}\n"
    "    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' -}}\n"
    "{% endfor %}\n"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
MESSAGES = (("system", "Be brief."), ("user", "Grüß <b>Gott</b>"))
WRITTEN = (
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nGrüß <b>Gott</b><|im_end|>\n<|im_start|>assistant\n"
)


def config(folder: Path, **values: object) -> Path:
    """A folder with a tokenizer_config.json."""
    (folder / "tokenizer_config.json").write_text(json.dumps(values))
    return folder


def template(folder: Path, source: str) -> ChatTemplate:
    (folder / "chat_template.jinja").write_text(source)
    return ChatTemplate(folder)


def test_a_template_is_read_from_the_tokenizers_configuration(tmp_path: Path) -> None:
    form = ChatTemplate(config(tmp_path, chat_template=CHATML, eos_token="<|im_end|>"))

    assert form.write(MESSAGES) == WRITTEN
    assert form.stop == "<|im_end|>"


def test_a_template_in_a_file_of_its_own_has_the_tokens_of_the_configuration_beside_it(tmp_path: Path) -> None:
    config(tmp_path, bos_token={"content": "<s>", "lstrip": False}, eos_token="</s>")

    form = template(tmp_path, "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}")

    assert form.write((("user", "hello"),)) == "<s>hello</s>"
    assert form.stop == "</s>"


def test_of_several_templates_the_default_is_taken(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]

    assert ChatTemplate(config(tmp_path, chat_template=named)).write(MESSAGES) == "plain"


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("{{ messages | tojson }}", '[{"role": "user", "content": "ä <b>"}]'),
        ("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}x{% endfor %}", ""),
        ("{% generation %}{{ messages[0]['content'] }}{% endgeneration %}", "ä <b>"),
        ("{% if tools %}tools{% endif %}{{ strftime_now('%Y') | length }}", "4"),
    ],
)
def test_what_templates_use_of_transformers_is_there(tmp_path: Path, source: str, written: str) -> None:
    assert template(tmp_path, source).write((("user", "ä <b>"),)) == written


def test_messages_that_a_template_refuses_are_a_failure_that_does_not_quote_them(tmp_path: Path) -> None:
    form = template(tmp_path, "{{ raise_exception('no place for ' + messages[0]['content']) }}")

    with pytest.raises(GenerationFailed) as raised:
        form.write((("user", "my diagnosis"),))

    assert "diagnosis" not in str(raised.value)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.environ }}",
        "{{ messages.append(1) }}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(tmp_path: Path, source: str) -> None:
    form = template(tmp_path, source)

    with pytest.raises(GenerationFailed):
        form.write((("user", "hello"),))


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"chat_template": 7}', '{"chat_template": [{"name": "rag", "template": ""}]}', "{broken"],
)
def test_a_configuration_without_a_template_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(content)

    with pytest.raises(BadSettings, match=f"GENERATOR_TEMPLATE: no chat template can be read from {tmp_path}"):
        ChatTemplate(tmp_path)


def test_a_folder_that_is_not_there_or_holds_no_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="GENERATOR_TEMPLATE"):
        ChatTemplate(tmp_path / "none")
    with pytest.raises(BadSettings, match="GENERATOR_TEMPLATE"):
        template(tmp_path, "{% for %}")
