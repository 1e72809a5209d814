"""Fetch a model's tokenizer from the Hugging Face hub, so that prompts are counted as that model counts them.

    PARLEY_TOKENIZER=$(python scripts/fetch_tokenizer.py Qwen/Qwen2.5-7B-Instruct-AWQ) make deploy

Writes .parley/tokenizers/OWNER--NAME/tokenizer.json and prints its path, which the build puts into a layer; with it
goes the chat template, where the model has one. What has been fetched before is not fetched again. HF_TOKEN in the
environment opens models whose licence must be accepted first; HF_ENDPOINT names a mirror. Without a network, copy the
file of that name from the model's folder, and name it in PARLEY_TOKENIZER.
"""

import argparse
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tokenizers import Tokenizer

from steps import PARLEY, Stop, finish

HUB = "https://huggingface.co"
TOKENIZERS = PARLEY / "tokenizers"
_BESIDE = ("chat_template.jinja", "tokenizer_config.json")  # scripts/build_layers.py takes them along
_MODEL = re.compile(r"[\w.-]+/[\w.-]+")
_UNFIT = re.compile(r"[^\w.-]")
_TIMEOUT_SECONDS = 30
_MOST_BYTES = 64_000_000  # Gemma's, the largest we know, has 33 MB


def fetched(model: str, revision: str, environment: Mapping[str, str], into: Path = TOKENIZERS) -> Path:
    """The tokenizer's file on this machine.

    Raises:
        Stop: it could not be had
    """
    if not _MODEL.fullmatch(model):
        raise Stop(f"A model is named OWNER/NAME, not {model!r}.")
    name = _UNFIT.sub("-", model.replace("/", "--") + ("" if revision == "main" else f"--{revision}"))
    file = into / name / "tokenizer.json"
    if not file.is_file():
        folder = f"{environment.get('HF_ENDPOINT') or HUB}/{model}/resolve/{revision}"
        content = _read(f"{folder}/{file.name}", environment)
        if content is None:
            raise Stop(f"There is no {folder}/{file.name}: the model's name may be wrong, or it has none.")
        try:
            Tokenizer.from_buffer(content)
        except Exception as error:  # tokenizers raises bare Exception
            raise Stop(f"What the hub has as tokenizer of {model} is none: {error}.") from error
        file.parent.mkdir(parents=True, exist_ok=True)
        for name in _BESIDE:
            if (beside := _read(f"{folder}/{name}", environment)) is not None:
                file.with_name(name).write_bytes(beside)
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_bytes(content)
        unfinished.rename(file)
    return file


def _read(url: str, environment: Mapping[str, str]) -> bytes | None:
    """The file's content; None if there is no such file."""
    token = environment.get("HF_TOKEN")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.build_opener(_Redirects).open(request, timeout=_TIMEOUT_SECONDS) as answer:
            content = bytes(answer.read(_MOST_BYTES + 1))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        if error.code in (401, 403):
            raise Stop(f"{url} is not open to all: accept the model's licence on the hub, and set HF_TOKEN.") from error
        raise Stop(f"The hub answered {error.code} to {url}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise Stop(
            f"The hub cannot be reached ({error}). Copy tokenizer.json from the model's folder, and name it in "
            "PARLEY_TOKENIZER."
        ) from error
    if len(content) > _MOST_BYTES:
        raise Stop(f"{url} is larger than any tokenizer we know.")
    return content


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to other hosts, which keep the hub's large files, but takes no token there."""

    def redirect_request(self, req: urllib.request.Request, *rest: Any) -> urllib.request.Request | None:
        """See `HTTPRedirectHandler.redirect_request`."""
        following = super().redirect_request(req, *rest)
        if following is not None and urlsplit(following.full_url).netloc != urlsplit(req.full_url).netloc:
            following.remove_header("Authorization")
        return following


def main() -> None:
    """Fetch the tokenizer of the model named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="OWNER/NAME on the hub")
    parser.add_argument("--revision", default="main", help="a branch, a tag or a commit")
    arguments = parser.parse_args()
    print(fetched(arguments.model, arguments.revision, os.environ))


if __name__ == "__main__":
    finish(main)
