"""Who sends a request, and what they may do with which bot and which conversation.

Visitors show a conversation's token and nothing else. Who is signed in shows a token of an issuer's; servers show an
API key; operators show the operator key, an API key with that scope, or a token whose issuer counts them in. All but
visitors and the bearer of the operator key belong to one tenant, and what is another tenant's is told as if it were not
there.
"""

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from parley.access import OWN_TENANT, Access
from parley.channels import api_key, origins, token
from parley.channels.api_key import CHAT, OPERATE
from parley.channels.operator import is_operator
from parley.conversation import Session
from parley.errors import MalformedRequest, NoBot, NotFound, NotKnown, NotYours
from parley.ports import ApiKey, Clock, Identities, Keys

_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, as far as what they show tells."""

    shown: str | None = None  # by a visitor: the conversation's token, if any
    user_id: str | None = None  # who is signed in
    key: ApiKey | None = None
    tenant: str | None = None  # None: a visitor, or an operator of all tenants
    operates: bool = False

    @property
    def is_visitor(self) -> bool:
        """Whether it may be anybody."""
        return self.user_id is None and self.key is None and not self.operates

    def user_of(self, claimed: str | None) -> str | None:
        """Under which name a conversation of theirs is kept, if they say that it is for `claimed`.

        Visitors are believed, and nothing is opened by it. The names of all others have a sign in them that `claimed`
        cannot have (`limits.ID_PATTERN`).

        Raises:
            MalformedRequest: who is signed in says who he is.
        """
        if self.user_id is not None:
            if claimed is not None:
                raise MalformedRequest("you are signed in; leave `user_id` out")
            return self.user_id
        return f"{self.key.id}/{claimed}" if self.key and claimed is not None else claimed


@dataclass(frozen=True, slots=True)
class Callers:
    """Knows callers by what they show. What a function does not look up it takes for a visitor's."""

    access: Mapping[str, Access]  # by bot, of all that are deployed
    clock: Clock
    operator_key: Callable[[], bytes] | None = None
    keys: Keys | None = None
    identities: Identities | None = None
    own_address: str = ""  # of the pages that may talk to every bot: the chat page

    def who(self, authorization: str | None) -> Caller:
        """Who shows this header. Every request looks an API key up anew, so that a revoked one opens nothing any more.

        Raises:
            NotKnown: an API key or a JWT that is wrong, expired or revoked. Which of these is not said.
            Unavailable: it could not be looked up.
        """
        shown = token.bearer(authorization)
        if shown is None:
            return Caller()
        if self.keys and shown.startswith(api_key.PREFIX):
            parts = api_key.presented(authorization)
            key = self.keys.get(parts[0]) if parts else None
            if parts is None or key is None or not api_key.unlocks(parts[1], key, now=self.clock()):
                raise NotKnown("this API key is wrong, expired or revoked")
            return Caller(key=key, tenant=key.tenant, operates=OPERATE in key.scopes)
        if self.identities and _JWT.fullmatch(shown):
            identity = self.identities.identify(shown)
            return Caller(user_id=identity.user_id, tenant=identity.tenant, operates=identity.is_operator)
        if self.operator_key and not token.is_one(shown) and is_operator(authorization, self.operator_key()):
            return Caller(operates=True)
        return Caller(shown=shown)

    def tenants(self) -> list[str]:
        """All that have a bot."""
        return sorted({access.tenant for access in self.access.values()})

    def tenant_of(self, bot: str) -> str | None:
        """Whose bot it is; None where there is none of this name."""
        return self.access[bot].tenant if bot in self.access else None

    def may_talk(self, caller: Caller, bot: str) -> bool:
        """Whether the bot is for them."""
        access = self.access.get(bot)
        if access is None or caller.tenant not in (None, access.tenant):
            return False
        if caller.is_visitor:
            return access.visitors
        return caller.key is None or not caller.key.bots or bot in caller.key.bots

    def asks_for_origins(self, bot: str) -> bool:
        """Whether the bot talks on some pages of the web only."""
        return bot in self.access and bool(self.access[bot].origins)

    def talks_on(self, page: origins.Page | None, bot: str) -> bool:
        """Whether the bot talks on the page; who comes from no page is asked nothing."""
        return page is None or bot not in self.access or origins.allows(self.access[bot], page, self.own_address)

    def check_page(self, page: origins.Page | None, bot: str) -> None:
        """Raises: NotYours: the bot does not talk on the page."""
        if page is not None and not self.talks_on(page, bot):
            where = "`access: origins:` in its bot.yml says where it does"
            raise NotYours(f"the bot {bot!r} does not talk on pages of {page.origin}; {where}")

    def check_scope(self, caller: Caller) -> None:
        """Raises: NotYours: it is an API key that is not for talking."""
        if caller.key and CHAT not in caller.key.scopes:
            raise NotYours(f"this API key lacks the scope {CHAT!r}")

    def check_talks(self, caller: Caller, bot: str) -> None:
        """Raises: NoBot: there is none for them; NotYours: the API key is not for talking, or limited to other bots."""
        self.check_scope(caller)
        self.check_sees(caller, bot)

    def check_sees(self, caller: Caller, bot: str) -> None:
        """Raises: NoBot: there is none for them; NotYours: the API key is limited to other bots."""
        if self.may_talk(caller, bot):
            return
        if caller.key and self.tenant_of(bot) == caller.tenant:
            raise NotYours(f"this API key is limited to {', '.join(caller.key.bots)}")
        raise NoBot(f"there is no bot {bot!r} here{' that visitors may talk to' if caller.is_visitor else ''}")

    def user_meant(self, caller: Caller, named: str | None) -> str:
        """Whose conversations somebody speaks of: their own, or those of a user of theirs whom they name.

        Raises:
            MalformedRequest: they must name somebody, or must not.
            NotYours: a visitor, who may be anybody, or an API key that is not for talking.
        """
        if caller.is_visitor:
            raise NotYours("this is for who is signed in, or for servers and the operator, who name a `user_id`")
        self.check_scope(caller)
        user = caller.user_of(named)
        if user is None:
            raise MalformedRequest("name the user: `?user_id=`")
        return user

    def check_operates(self, caller: Caller, bot: str | None = None) -> None:
        """Raises: NotYours: they are no operator; NoBot: they are, and this bot is not their tenant's."""
        if not caller.operates:
            raise NotYours("this is for operators: the bearer of the operator key, or of an API key with that scope")
        if bot is not None and (bot not in self.access or not self._sees(caller, bot)):
            raise NoBot(f"there is no bot {bot!r} here")

    def operator(self, authorization: str | None) -> Caller:
        """The operator who shows this header. Raises: NotYours: it is none."""
        caller = self.who(authorization)
        self.check_operates(caller)
        return caller

    def tenant_for(self, operator: Caller, wanted: str | None, bots: Iterable[str]) -> str:
        """Whose something is that an operator makes, for these bots of the tenant, if for some only.

        Raises:
            NotYours: it would be another tenant's.
            NotFound: there is no such tenant, or it has no such bot.
        """
        tenant = wanted or operator.tenant or OWN_TENANT
        if operator.tenant not in (None, tenant):
            raise NotYours("you are an operator of another tenant; leave `tenant` out")
        if tenant not in self.tenants():
            raise NotFound(f"there is no tenant {tenant!r} here; a bot's `access` names it")
        self.check_bots(tenant, bots)
        return tenant

    def check_bots(self, tenant: str, bots: Iterable[str]) -> None:
        """Raises: NotFound: one of the bots is not the tenant's."""
        for bot in bots:
            if self.tenant_of(bot) != tenant:
                raise NotFound(f"the tenant {tenant!r} has no bot {bot!r} here")

    def check_owns(self, caller: Caller, session: Session) -> None:
        """Raises: NotYours: the conversation is somebody else's; NotFound: it is another tenant's."""
        if not self._sees(caller, session.bot):
            raise NotFound(f"there is no conversation {session.conversation_id!r}, or it was erased")
        if caller.operates:
            return
        if caller.user_id is not None:
            if caller.user_id != session.user_id:
                raise NotYours("this conversation is somebody else's")
        elif caller.key is not None:
            if caller.key.id != session.key_id:
                raise NotYours("this conversation did not begin with this API key")
        elif not token.matches(caller.shown, session.token_digest):
            raise NotYours("send the conversation's token as `Authorization: Bearer ...`")

    def _sees(self, caller: Caller, bot: str) -> bool:
        return caller.tenant is None or caller.tenant == self.tenant_of(bot)


def begun(bot: str, caller: Caller, user_id: str | None, *, now: float) -> tuple[str | None, Session]:
    """A new conversation, and the token that opens it, but for who is signed in: that opens it."""
    secret = token.new_token() if caller.user_id is None else None
    return secret, Session(
        conversation_id=uuid.uuid4().hex,
        bot=bot,
        token_digest=token.digest(secret) if secret else "",
        started_at=now,
        user_id=user_id,
        key_id=caller.key.id if caller.key else None,
    )
