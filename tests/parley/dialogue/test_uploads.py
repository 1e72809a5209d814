"""Files in the dialogue: a slot that is set as if by what was said, a form that asks for one, a rule that waits."""

from typing import Any

import pytest

from parley.bots.bot import Bot, Form, MappingCondition, Slot, SlotMapping, UploadSettings
from tests.builders import SOME_SERVER, Talk, a_bot, a_photo, does, done, texts, wordings

CLAIM = Form("claim_form", ("photo", "story"))
SLOTS = (
    Slot("photo", "list", (SlotMapping("custom"),)),
    Slot(
        "story",
        "text",
        (SlotMapping("from_text", conditions=(MappingCondition("claim_form", "story"),)),),
        influences=False,
    ),
)
RULES: dict[str, dict[str, Any]] = {
    "claim": {"steps": [{"intent": "claim"}, {"action": "claim_form"}, {"active_loop": "claim_form"}]},
    "claimed": {
        "condition": [{"active_loop": "claim_form"}],
        "steps": [{"action": "claim_form"}, {"active_loop": None}, {"action": "utter_claimed"}],
    },
    "only a photo": {
        "condition": [{"active_loop": None}, {"slot_was_set": [{"photo": ["any"]}]}],
        "steps": [{"intent": "nlu_fallback"}, {"action": "utter_thanks"}],
    },
    "greet": {"steps": [{"intent": "greet"}, {"action": "utter_hello"}]},
    "look": {"steps": [{"intent": "look"}, {"action": "action_look"}]},
}
WORDINGS = wordings(
    ask_photo="photo?", ask_story="story?", claimed="thank you", thanks="nice photo", hello="hello", default="what?"
)


def a_looking_bot(**changes: Any) -> Bot:
    return a_bot(
        RULES,
        slots=SLOTS,
        forms={"claim_form": CLAIM},
        responses=WORDINGS,
        uploads=UploadSettings(("image/png",), slot="photo"),
        unsure=(),
        **changes,
    )


@pytest.fixture
def talk() -> Talk:
    return Talk(a_looking_bot())


def test_a_file_is_the_answer_to_a_form_that_asks_for_it(talk: Talk) -> None:
    asked = talk.hears("claim")
    told = talk.hears(None, "", sent=(a_photo(),))

    assert texts(asked) == ["photo?"]
    assert (done(told), texts(told)) == (["claim_form"], ["story?"])
    assert talk.slots["photo"] == [{"id": "u1", "name": "photo.png", "type": "image/png", "bytes": 67}]


def test_words_that_come_with_the_file_change_nothing_of_that(talk: Talk) -> None:
    talk.hears("claim")

    assert texts(talk.hears("greet", "hello, here it is", sent=(a_photo(),))) == ["story?"]


def test_words_are_no_answer_to_a_form_that_asks_for_a_file(talk: Talk) -> None:
    talk.hears("claim")

    assert done(talk.hears("greet")) == ["!claim_form", "utter_hello", "claim_form"]


def test_a_file_without_words_is_no_answer_to_a_form_that_asks_for_words(talk: Talk) -> None:
    talk.hears("claim")
    talk.hears(None, "", sent=(a_photo(),))

    talk.hears(None, "", sent=(a_photo(id="u2"),))

    assert "story" not in talk.slots


def test_a_file_that_came_with_the_first_words_is_not_asked_for(talk: Talk) -> None:
    assert texts(talk.hears("claim", sent=(a_photo(),))) == ["story?"]


def test_a_rule_waits_for_a_file_without_words(talk: Talk) -> None:
    assert texts(talk.hears(None, "", sent=(a_photo(),))) == ["nice photo"]


def test_a_file_that_nothing_waits_for_is_taken_back_with_its_turn() -> None:
    talk = Talk(
        a_bot(
            rules={"greet": RULES["greet"]},
            slots=SLOTS,
            responses=WORDINGS,
            unsure=(),
            forms={},
            uploads=UploadSettings(("image/png",), slot="photo"),
        )
    )

    talk.hears(None, "", sent=(a_photo(),))

    assert "photo" not in talk.slots


def test_all_files_of_a_message_are_in_the_slot_in_the_place_of_those_before(talk: Talk) -> None:
    talk.hears("greet", sent=(a_photo(),))
    talk.hears("greet", sent=(a_photo(id="u2"), a_photo(id="u3")))
    talk.hears("greet")

    assert [each["id"] for each in talk.slots["photo"]] == ["u2", "u3"]


def test_a_custom_action_is_told_of_the_files() -> None:
    talk = Talk(a_looking_bot(actions=("action_look",), custom=SOME_SERVER), {"action_look": does(say="I see")})

    talk.hears("look", sent=(a_photo(),))

    (call,) = talk.calls
    heard = call.dialogue.now.heard
    assert heard is not None
    assert heard.uploads == (a_photo(),)
