"""What a message and an id may be, in every channel of our own.

Pure; no library, so that every function may check.
"""

import unicodedata

MAX_MESSAGE_CHARACTERS = 4_000
MOST_UPLOADS = 5  # files that one message names
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"
TURN_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,132}$"  # of a turn that there is: `waiting` puts `.late` behind an id

_TEXT_CONTROLS = "\n\r\t"


def says_something(message: str, *, with_files: bool = False) -> str:
    """The message as it is. One that comes with files may be empty.

    Raises:
        ValueError: it is empty, or holds control characters.
    """
    if not message.strip() and not with_files:
        raise ValueError("the message is empty")
    for character in message:
        if unicodedata.category(character) == "Cc" and character not in _TEXT_CONTROLS:
            raise ValueError(f"the message holds the control character U+{ord(character):04X}")
    return message
