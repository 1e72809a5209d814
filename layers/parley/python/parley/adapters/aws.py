"""The services of a turn on AWS, wired from the settings."""

import time

from parley.adapters.actions import RemoteActions
from parley.adapters.announcements import EventBridgeAnnouncements
from parley.adapters.dynamodb import DynamoConversations, DynamoReplies
from parley.adapters.s3 import S3Bots
from parley.adapters.sagemaker import SageMakerGenerator
from parley.adapters.secrets import secret_from, secrets_below
from parley.caching.recall import ReplyCache
from parley.nlu.encoder import OnnxEncoder
from parley.ports import Patience
from parley.services import Services
from parley.settings import Settings


def connect(settings: Settings, patience: Patience) -> Services:
    """What a turn needs, on AWS. Loads the encoder and the default bot, so that the first turn need not."""
    encoder = OnnxEncoder(settings.encoder_folder)
    bots = S3Bots(settings.bots, encoder)
    bots(settings.default_bot)
    return Services(
        bots=bots,
        encoder=encoder,
        conversations=DynamoConversations(
            settings.conversations_table, retention_days=settings.retention_days, clock=time.time
        ),
        cache=ReplyCache(
            store=DynamoReplies(settings.replies_table, clock=time.time),
            secret=secret_from(settings.cache_key_secret),
            ttl_seconds=settings.cache_ttl_seconds,
            clock=time.time,
        ),
        generator=SageMakerGenerator(settings.generator_endpoint, silence_seconds=patience.first_seconds),
        patience=patience,
        actions=RemoteActions(secrets_below(settings.action_secrets)),
        announcements=EventBridgeAnnouncements(settings.event_bus),
        clock=time.time,
    )
