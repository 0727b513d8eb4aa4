"""A bench around an engine that is told what to say, in a quiet room with voices of tones."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from model.training.evaluation.bench import Bench
from model.training.evaluation.examining import Patience
from model.training.evaluation.voices import KeptCast
from realtime.engine import Engine
from tests.model.training.simulation.bills import QUIET

VOICES = ("tones/middle", "tones/bright")


class Deaf:
    """A detector of speech that hears nobody: what the agent does is its own doing."""

    def push(self, pcm: np.ndarray) -> Sequence[float]:
        return []

    def reset(self) -> None:
        """Nothing to forget."""


@pytest.fixture
def bench_of(tmp_path: Path) -> Callable[..., Bench]:
    def build(engine: Engine, **changes: object) -> Bench:
        cast = KeptCast(tmp_path)
        fields = {"voices": VOICES, "patience": Patience(longest=60), "make_activity": Deaf}
        fields |= {"surroundings": lambda random: QUIET} | changes
        fields = {"reader": tmp_path / "reader.safetensors"} | fields
        return Bench(engine, cast, **fields)

    return build
