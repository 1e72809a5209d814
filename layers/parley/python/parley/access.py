"""Who may talk to a bot, as its author says. Functions are told of it by name, without loading the bot."""

from dataclasses import dataclass

OWN_TENANT = "main"  # of bots whose author names none


@dataclass(frozen=True, slots=True)
class Access:
    """Whose bot it is, and who may talk to it."""

    tenant: str = OWN_TENANT  # who else is in the deployment sees nothing of it
    visitors: bool = True  # anybody may begin a conversation; else only who is signed in or has an API key
    origins: tuple[str, ...] = ()  # of web pages that may talk to it, such as https://shop.example; none: any
