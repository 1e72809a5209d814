"""Uploading: takes a file that somebody sends into a conversation, whichever door it came through.

It is counted as a turn is, since it costs about as much. What becomes of it is told by the turn that names it.
"""

import uuid

from parley.bots.bot import UploadSettings
from parley.conversation import Session, Upload
from parley.errors import MalformedRequest, NotTaken, TooLarge
from parley.files import MEGABYTE, name_of, type_of
from parley.services import Services


def keep(session: Session, name: str, claimed: str, content: bytes, services: Services) -> Upload:
    """The file as it is kept. `claimed` is the media type that the client says.

    Raises:
        NotTaken: the bot takes no such file.
        MalformedRequest: it is empty.
        TooLarge: it is larger than the bot takes.
        OverQuota: all that may be asked in a while has been asked.
        Unavailable: it could not be kept.
    """
    media_type = _checked(content, claimed, services.bots(session.bot).bot.uploads)
    services.metering.admit(session)
    upload = Upload(uuid.uuid4().hex, name_of(name, media_type), media_type, len(content))
    services.uploads.put(session.bot, session.conversation_id, upload, content)
    return upload


def _checked(content: bytes, claimed: str, settings: UploadSettings) -> str:
    if not settings.types:
        raise NotTaken("this bot takes no files")
    taken = f"{', '.join(settings.types)}, {settings.most_mb:g} MB at most"
    if not content:
        raise MalformedRequest(f"the file is empty, and should be the body; this bot takes {taken}")
    if len(content) > settings.most_mb * MEGABYTE:
        raise TooLarge(f"the file is too large; this bot takes {taken}")
    media_type = type_of(content, claimed)
    if media_type not in settings.types:
        raise NotTaken(f"by its content this is {media_type or 'no file that can be told'}; this bot takes {taken}")
    return media_type
