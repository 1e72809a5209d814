"""Markdown as Slack shows it."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from parley.channels.mrkdwn import MOST_CHARACTERS, link, sections


def shown(markdown: str) -> str:
    return "\n".join(sections(markdown))


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        ("**bold** and __bold__", "*bold* and *bold*"),
        ("*italic* and _italic_", "_italic_ and _italic_"),
        ("***both***, ~~gone~~", "*_both_*, ~gone~"),
        ("**bold with *italic* in it**", "*bold with _italic_ in it*"),
        ("use `a * b < c`", "use `a * b &lt; c`"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        (r"\*not italic\*", "*not italic*"),
        ("# Returns", "*Returns*"),
        ("## **Returns** ##", "*Returns*"),
        ("- one\n* two\n  - three", "• one\n• two\n    ◦ three"),
        ("1. one\n2. two", "1. one\n2. two"),
        ("- [x] done\n- [ ] open", "• ☑ done\n• ☐ open"),
        ("> said <b>", "> said &lt;b&gt;"),
        ("a\n\n---\n\nb", "a\n\n────────────\n\nb"),
        ("[our page](https://x.example/a?b=1&c=2)", "<https://x.example/a?b=1&amp;c=2|our page>"),
        ("![a spade](https://x.example/spade.png)", "<https://x.example/spade.png|a spade>"),
        ("[click](javascript:alert(1))", "click"),
        ("see https://x.example/a_b_c.", "see <https://x.example/a_b_c>."),
        ("[write](mailto:a@x.example)", "<mailto:a@x.example|write>"),
        ("```python\nif a < b and **c**:\n    pass\n```", "```\nif a &lt; b and **c**:\n    pass\n```"),
        ("```\nnever closed", "```\nnever closed\n```"),
        ("a [1] b", "a [1] b"),
    ],
)
def test_marks_become_slacks_own(markdown: str, mrkdwn: str) -> None:
    assert shown(markdown) == mrkdwn


def test_a_table_stands_in_columns() -> None:
    table = "| size | price |\n|:--|--:|\n| S | 4 |\n| large | 12 |"

    assert shown(table) == "```\nsize   price\n-----  -----\nS      4\nlarge  12\n```"


@pytest.mark.parametrize("call", ["<!channel>", "<!here>", "<@U123>", "<#C1|general>", "<!subteam^S1>"])
@pytest.mark.parametrize("around", ["{}", "**{}**", "`{}`", "```\n{}\n```", "[{}](https://x.example)", "> {}", "# {}"])
def test_nobody_is_called_together(call: str, around: str) -> None:
    assert call not in shown(around.format(call))
    assert "&lt;" in shown(around.format(call))


def test_an_address_cannot_end_its_link_and_begin_another_mark() -> None:
    assert link("https://x.example/><!channel>", "here") == "<https://x.example/%3E%3C!channel%3E|here>"


def test_a_long_text_is_cut_between_lines_and_code_stays_code() -> None:
    found = sections("\n".join(["a line of words, with an <entity>"] * 300 + ["```", *["code &"] * 900, "```"]))

    assert all(0 < len(each) <= MOST_CHARACTERS for each in found)
    assert all(each.count("```") in (0, 2) for each in found)
    assert "".join(found).count("a line of words, with an &lt;entity&gt;") == 300


@given(some.text(alphabet="ab *_~`<>&|[]()!@#-\n\\:/", max_size=400), some.integers(60, 400))
def test_whatever_is_said_fits_and_calls_nobody(markdown: str, most: int) -> None:
    for each in sections(markdown, most):
        assert len(each) <= most
        assert "<!" not in each
        assert "<@" not in each
        assert "<#" not in each


@pytest.mark.timeout(20)
@pytest.mark.parametrize("mark", ["`", "*", "**a", "_", "[", "[a](", "|", "~~", "<https://"])
def test_nothing_takes_long(mark: str) -> None:
    assert sections("x " + mark * 4_000)
