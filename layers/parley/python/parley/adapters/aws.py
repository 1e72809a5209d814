"""The services of a turn on AWS, wired from the settings."""

import random
import time

from parley.adapters.actions import RemoteActions
from parley.adapters.announcements import EventBridgeAnnouncements
from parley.adapters.documents import S3Libraries
from parley.adapters.generators import generator_from, second_generator_from
from parley.adapters.lines import conversations_of
from parley.adapters.metrics import EmbeddedMetrics
from parley.adapters.passages import DynamoPassages
from parley.adapters.replies import DynamoReplies
from parley.adapters.s3 import S3Bots
from parley.adapters.secrets import secret_from, secrets_below
from parley.adapters.uploads import S3Uploads
from parley.adapters.usage import DynamoUsage
from parley.caching.cache import reply_cache
from parley.current_bots import CurrentBots
from parley.generation.counting import counter
from parley.generation.persistence import Persistent
from parley.metering import Metering
from parley.nlu.encoder import OnnxEncoder
from parley.nlu.remembering import RememberingEncoder
from parley.ports import Generator, HotReplies, Patience, Window
from parley.services import Services
from parley.settings import Settings


def connect(settings: Settings, patience: Patience) -> Services:
    """What a turn needs, on AWS. Loads the encoder and the default bot, so that the first turn need not."""
    encoder = RememberingEncoder(OnnxEncoder(settings.encoder_folder))
    beyond = DynamoPassages(settings.passages_table) if settings.passages_table else None
    bots = CurrentBots(S3Bots(settings.bots, encoder), S3Libraries(settings.documents_bucket), time.time, beyond)
    bots(settings.default_bot)
    return Services(
        bots=bots,
        encoder=encoder,
        conversations=conversations_of(settings),
        cache=reply_cache(
            DynamoReplies(settings.replies_table, clock=time.time),
            secret_from(settings.cache_key_secret),
            encoder,
            EmbeddedMetrics(settings.parley_stage),
            clock=time.time,
            ttl_seconds=settings.cache_ttl_seconds,
            hot=_cache_server(settings),
            dollars_per_million_tokens=settings.dollars_per_million_tokens,
        ),
        generator=_generator(settings, patience),
        window=Window(settings.generator_context_tokens, counter(settings.generator_tokenizer)),
        composes=settings.generator_composes,
        patience=patience,
        actions=RemoteActions(secrets_below(settings.action_secrets)),
        announcements=EventBridgeAnnouncements(settings.event_bus),
        metering=Metering(DynamoUsage(settings.usage_table), settings.quotas, settings.access, time.time),
        uploads=S3Uploads(settings.uploads_bucket),
        clock=time.time,
    )


def _cache_server(settings: Settings) -> HotReplies | None:
    if not settings.cache_server:
        return None
    from parley.adapters.valkey import ValkeyHotReplies, iam_credentials  # which costs 0.3 s of CPU

    credentials = iam_credentials(settings.cache_server_user, settings.cache_server_name)
    return ValkeyHotReplies(settings.cache_server, credentials)


def _generator(settings: Settings, patience: Patience) -> Generator:
    return Persistent(
        generator_from(settings, patience),
        second_generator_from(settings, patience),
        hedge_after_seconds=settings.generator_hedge_seconds,
        sleep=time.sleep,
        clock=time.monotonic,
        random=random.random,
    )
