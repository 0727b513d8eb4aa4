"""The log of events."""

import json
from pathlib import Path

from omniweave_client import Direction
from omniweave_client.eventlog import EventLog


def test_frames_become_lines_in_order_and_media_becomes_its_length(tmp_path: Path) -> None:
    times = iter([50.0, 50.25, 51.0, 52.0, 53.0])
    frames = [
        (Direction.SENT, {"type": "input_audio_buffer.append", "audio": "A" * 6_400}),
        (Direction.SENT, {"type": "x", "item": {"content": [{"type": "input_image", "image_url": "B" * 500}]}}),
        (Direction.RECEIVED, {"type": "response.output_text.delta", "delta": "long " * 100}),
        (Direction.RECEIVED, {"type": "response.output_audio.delta", "delta": "C" * 900}),
    ]
    with EventLog(tmp_path / "log.jsonl", clock=lambda: next(times)) as log:
        for direction, frame in frames:
            log.write(direction, json.dumps(frame))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["at_s"] for line in lines] == [0.25, 1.0, 2.0, 3.0]
    assert [line["direction"] for line in lines] == ["sent", "sent", "received", "received"]
    assert lines[0]["event"] == {"type": "input_audio_buffer.append", "audio": "(6400 characters)"}
    assert lines[1]["event"]["item"]["content"][0]["image_url"] == "(500 characters)"
    assert lines[2]["event"] == frames[2][1]
    assert lines[3]["event"]["delta"] == "(900 characters)"


def test_a_frame_that_is_no_json_is_kept_as_text(tmp_path: Path) -> None:
    with EventLog(tmp_path / "log.jsonl", clock=lambda: 0.0) as log:
        log.write(Direction.RECEIVED, "not json")
    assert json.loads((tmp_path / "log.jsonl").read_text())["event"] == "not json"
