"""The prompt: persona, as much of the history as the bot wants, and what was just said."""

from collections.abc import Sequence

from parley.bots.bot import Bot
from parley.conversation import RecordedTurn
from parley.ports import Prompt


def compose(bot: Bot, history: Sequence[RecordedTurn], text: str) -> Prompt:
    """What the generator is asked, in the roles of OpenAI's chat messages."""
    messages = [("system", bot.generation.persona)]
    for turn in history:
        said = "\n".join(message.text for message in turn.reply.messages)
        messages += [(role, text) for role, text in (("user", turn.message), ("assistant", said)) if text]
    messages.append(("user", text))
    return Prompt(tuple(messages), bot.generation.max_tokens, bot.generation.temperature)
