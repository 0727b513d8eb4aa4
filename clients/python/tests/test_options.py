"""The command line of the chat."""

from pathlib import Path

import pytest

from omniweave_client import Output
from omniweave_client.options import parse_options


def test_without_arguments_it_is_a_typed_chat_with_the_local_server() -> None:
    options = parse_options([], environment={})
    assert options.url == "ws://localhost:8080/v1/realtime"
    assert options.api_key is None
    assert options.config.outputs == (Output.TEXT,)
    assert not options.config.is_extended


@pytest.mark.parametrize(
    ("arguments", "key"), [([], "from environment"), (["--api-key", "from arguments"], "from arguments")]
)
def test_the_key_comes_from_the_arguments_or_else_the_environment(arguments: list[str], key: str) -> None:
    assert parse_options(arguments, environment={"OMNIWEAVE_API_KEY": "from environment"}).api_key == key


def test_something_that_takes_sound_asks_for_sound(tmp_path: Path) -> None:
    assert parse_options(["--save-audio", "a.wav"], {}).config.outputs == (Output.AUDIO,)
    assert parse_options(["--speaker"], {}).config.outputs == (Output.AUDIO,)
    options = parse_options(["--speaker", "--outputs", "text", "audio", "image"], {})
    assert options.config.outputs == (Output.TEXT, Output.AUDIO, Output.IMAGE)


def test_video_is_switched_on_only_when_frames_are_sent(tmp_path: Path) -> None:
    assert parse_options(["--frames", str(tmp_path)], {}).config.video
    assert parse_options(["--camera"], {}).config.video
    assert not parse_options([], {}).config.video


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--fps", "5"], "--fps must be in"),
        (["--wav", "missing.wav"], "missing.wav does not exist"),
        (["--camera", "--frames", "."], "choose one"),
        (["--mic", "--wav", "."], "choose one"),
        (["--max-tokens", "0"], "max_output_tokens must be at least 1"),
        (["--outputs", "text", "text"], "at most once"),
    ],
)
def test_senseless_arguments_end_with_a_message(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_options(arguments, {})
    assert caught.value.code == 2
    assert told in capsys.readouterr().err
