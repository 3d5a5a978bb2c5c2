import pytest

from argosy.chat.settings import parse_setting, settings_text
from argosy.errors import CommandError


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "0.3", 0.3),
        ("temperature", "1", 1),
        ("max_tokens", "100", 100),
        ("seed", "-1", -1),
        ("stop", "END", "END"),
        ("stop", '["a", "b"]', ["a", "b"]),
        ("stop", "3", "3"),
        ("reasoning_effort", "low", "low"),
        ("chat_template_kwargs", '{"enable_thinking": false}', {"enable_thinking": False}),
    ],
)
def test_a_value_is_what_the_request_wants(name: str, text: str, value: object) -> None:
    assert parse_setting(name, text) == value


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("temperature", "hot", "temperature wants a number from 0 to 2, not 'hot'"),
        ("temperature", "2.5", "from 0 to 2"),
        ("temperature", "NaN", "from 0 to 2"),
        ("temperature", "true", "a number"),
        ("max_tokens", "1.5", "a whole number of at least 1"),
        ("seed", "x", "seed wants a whole number, not 'x'"),
        ("reasoning_effort", "huge", "one of none"),
        ("chat_template_kwargs", "[]", "a JSON object"),
        ("temprature", "1", "did you mean temperature?"),
        ("zzz", "1", "there are temperature, top_p"),
    ],
)
def test_a_wrong_setting_is_told_with_what_is_wanted(name: str, text: str, told: str) -> None:
    with pytest.raises(CommandError) as raised:
        parse_setting(name, text)
    assert told in str(raised.value)


def test_settings_are_shown_as_they_are_typed() -> None:
    assert settings_text({"temperature": 0.3, "stop": "结束"}) == 'temperature 0.3\nstop "结束"'
    assert settings_text({}).startswith("nothing is set; there are temperature")
