"""The bundle: a compiled bot as one file, and the way back.

A zip of `bot.json` (the `Bot`), `needs.json` (the secrets and functions that its custom
actions and webhooks name, for who deploys it), `access.json` (who may talk to it, for functions that do
not load it), `encoder.json` (the version of the encoder that made the vectors), and a
NAME.json and a NAME.npz for each trained part, of which the knowledge snapshot is one.
Knows how the parts are packed, not what they mean.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from parley.bots.bot import Bot
from parley.bots.webhook import callback_secrets_of, secrets_of
from parley.errors import BadBot

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes on any day


@dataclass(frozen=True, slots=True)
class Trained:
    """One trained part, in a form that its module understands."""

    about: Any  # what JSON can hold
    arrays: Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bot with its trained parts."""

    bot: Bot
    encoder: str  # the version that made all vectors
    trained: Mapping[str, Trained]  # by name


def pack(bundle: Bundle) -> tuple[Bot, bytes]:
    """The bot with its version, and the bytes of the file."""
    unversioned = _files(replace(bundle, bot=replace(bundle.bot, version="")))
    version = hashlib.sha256(b"".join(name.encode() + content for name, content in unversioned.items())).hexdigest()[
        :12
    ]
    bot = replace(bundle.bot, version=version)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _files(replace(bundle, bot=bot)).items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return bot, buffer.getvalue()


def unpack(content: bytes) -> Bundle:
    """The bundle in a file that `pack` made.

    Raises:
        BadBot: the file is not a bundle, or of another version of Parley.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            bot = msgspec.json.decode(archive.read("bot.json"), type=Bot)
            encoder = msgspec.json.decode(archive.read("encoder.json"), type=str)
            trained = {name: _unpack_trained(archive, name) for name in _names_of_trained(archive)}
    except (zipfile.BadZipFile, KeyError, ValueError, msgspec.MsgspecError) as error:
        raise BadBot(f"this is not a bot bundle that this version can read: {error}; compile the bot again") from error
    return Bundle(bot, encoder, trained)


def _names_of_trained(archive: zipfile.ZipFile) -> list[str]:
    return [name.removesuffix(".npz") for name in archive.namelist() if name.endswith(".npz")]


def _unpack_trained(archive: zipfile.ZipFile, name: str) -> Trained:
    with np.load(io.BytesIO(archive.read(f"{name}.npz")), allow_pickle=False) as arrays:
        return Trained(msgspec.json.decode(archive.read(f"{name}.json")), dict(arrays))


def _files(bundle: Bundle) -> dict[str, bytes]:
    files = {
        "bot.json": msgspec.json.encode(bundle.bot, order="deterministic"),
        "encoder.json": msgspec.json.encode(bundle.encoder),
        "needs.json": msgspec.json.encode(
            {
                "secrets": sorted(bundle.bot.custom.secrets() | secrets_of(bundle.bot.webhooks)),
                "callback_secrets": sorted(callback_secrets_of(bundle.bot.webhooks)),
                "functions": sorted(bundle.bot.custom.functions()),
            }
        ),
        "access.json": msgspec.json.encode(bundle.bot.access),
    }
    for name, trained in sorted(bundle.trained.items()):
        arrays = io.BytesIO()
        np.savez(arrays, **trained.arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for its own options
        files[f"{name}.json"] = msgspec.json.encode(trained.about, order="deterministic")
        files[f"{name}.npz"] = arrays.getvalue()
    return files
