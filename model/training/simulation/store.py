"""Simulated sessions on disk: one recording each, so that whatever opens recorded sessions opens these.

    sessions/plan.json          what the set was made for; a build that goes on must have the same
    sessions/train/000000.mcap  session 0 of the training split
    sessions/eval/000000.mcap

A file exists whole or not at all. The same plan gives the same bytes, whoever makes a session, and whenever.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from model.checkpoint import write_atomically
from model.training.data.clip import Split
from model.training.simulation.session import SimulatedSession, Story
from realtime.recording.header import NORMAL_END, RecordingHeader
from realtime.recording.recorder import Recording, read_recording
from realtime.recording.writer import RecordingWriter
from streams.types import EngineInfo, TickOutput, TickWindow

PLAN_FILE = "plan.json"
VERSION = 2  # of the simulation: raise it where the same plan makes other sessions
SIMULATION = EngineInfo(
    name="simulation",
    max_sessions=1,
    max_steps_per_tick=0,
    weights_hash="none",
    build_hash="none",
    backend="script",
    hears=True,
    sees=True,
    speaks=True,
    draws=True,
    self_paced=True,
)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the sessions of a set depend on besides their split and index."""

    version: int = 1  # of the simulation; what was stored before there was one is of the first
    seed: int
    agent_voices: tuple[str, ...]
    user_voices: tuple[str, ...]
    held_out_voices: tuple[str, ...]  # of users, in evaluation only
    instructions: str
    num_exchanges: int
    drawing_ticks: int
    emoji: tuple[str, ...] = ()
    dialogues: str = ""  # a hash of the file of written dialogues
    dialogue_share: float = 0.0
    spoken: bool = True


def path_of(directory: Path, split: Split, index: int) -> Path:
    return directory / split / f"{index:06d}.mcap"


def check_plan(directory: Path, plan: Plan) -> None:
    """Store the plan, or raise ValueError where the directory holds a set of another plan."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / PLAN_FILE
    if not path.exists():
        write_atomically(path, msgspec.json.format(msgspec.json.encode(plan)) + b"\n")
        return
    before = msgspec.json.decode(path.read_bytes(), type=Plan)
    if before != plan:
        raise ValueError(f"{directory} holds sessions of another plan, {before}; choose another directory for {plan}")


def write_session(session: SimulatedSession, path: Path) -> None:
    """Write one recording. Its times are those of the session, counted from 1970."""
    script = session.story.script
    header = RecordingHeader(
        session=session.name,
        seed=script.index,
        created_wall_ns=0,
        engine=SIMULATION,
        server_version="simulation",
        config_json=msgspec.json.encode({"simulation": session.story}).decode(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    outputs = iter(session.outputs)
    with part.open("wb") as file:
        writer = RecordingWriter(file, header)
        for window in session.windows:
            writer.window(window, 0)
            for output in outputs:
                writer.output(output, 0)
                if output.done:
                    break
        writer.finish(NORMAL_END)
    os.replace(part, path)


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A recording of a simulated session, read when it is asked."""

    recording: Recording
    story: Story

    @property
    def windows(self) -> Iterator[TickWindow]:
        return self.recording.windows()

    @property
    def outputs(self) -> Iterator[TickOutput]:
        return self.recording.outputs()


def read_session(path: Path) -> StoredSession:
    """Open one. Raises ValueError for a recording that is not whole, or not of a simulation."""
    recording = read_recording(path)
    if recording.ending is not None:
        raise ValueError(f"{path} is not whole: {recording.ending}")
    config = msgspec.json.decode(recording.header.config_json, type=dict[str, Story])
    if "simulation" not in config:
        raise ValueError(f"{path} is a recording, but not of a simulation")
    return StoredSession(recording, config["simulation"])


class SessionSet(Sequence[StoredSession]):
    """The sessions of one split by their order; opens a file when it is asked for. May grow after it was opened."""

    def __init__(self, directory: Path, split: Split) -> None:
        self.paths = sorted((directory / split).glob("*.mcap"))
        if not self.paths:
            raise FileNotFoundError(f"no simulated sessions in {directory / split}; make some with the stage simulate")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> StoredSession:  # type: ignore[override]  # no slices: a session is megabytes
        return read_session(self.paths[index])
