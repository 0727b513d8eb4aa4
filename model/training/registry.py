"""The stages that the command line knows: where each one's config is, without importing any of them.

A stage's config is a frozen dataclass in the stage's own file; its fields are the stage's options. `build` turns it
into the stage, given what all stages are given (`Setup`). A stage that takes gradient steps has a field `loop`; one
that just runs builds a `Job` instead. The first line of the file's docstring describes the stage in lists.

To add a stage, write its file in `stages/` and add a line here.
"""

import ast
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from model.config import ModelConfig
from model.training.stage import Stage

PACKAGE = "model.training.stages"
# Stage name, which is its file's name too, and the name of its config.
CONFIGS = {
    "text_tokenizer": "TextTokenizerConfig",
    "audio_encoder": "HearingConfig",
    "image_tokenizer": "ImageTokenizerConfig",
    "vision_encoder": "VisionEncoderConfig",
    "audio_codec": "AudioCodecConfig",
    "vocoder": "VocoderStageConfig",
    "pretrain_text_image": "PretrainTextImageConfig",
    "pretrain_audio": "PretrainAudioConfig",
    "pretrain_all": "PretrainAllConfig",
    "instruct": "InstructConfig",
    "dpo": "DpoConfig",
    "internalize": "InternalizeConfig",
    "simulate": "SimulateConfig",
    "realtime": "RealtimeConfig",
}


@dataclass(frozen=True, slots=True)
class Setup:
    """What the command line gives every stage besides the stage's own options."""

    model: ModelConfig  # of the chosen preset
    data: Path  # the directory that the data engine writes
    device: torch.device  # for what a stage keeps outside of its networks; the loop moves networks and batches


class Job(Protocol):
    """A stage without gradient steps."""

    def run(self, out_dir: Path) -> str:
        """Do all of it, writing into `out_dir`. Returns a line that says what came out."""


class StageConfig(Protocol):
    """The options of a stage."""

    def build(self, setup: Setup) -> Stage[Any] | Job:
        """The stage, ready to run. Raises ValueError or OSError saying what is wrong with options or data."""


def summary_of(name: str) -> str:
    """What a stage does, in one line."""
    source = (Path(__file__).parent / "stages" / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def config_of(name: str) -> type[StageConfig]:
    """The config class of a stage. Raises ValueError for a name that is none."""
    if name not in CONFIGS:
        raise ValueError(f"no stage {name!r}; there are {', '.join(CONFIGS)}")
    config: type[StageConfig] = getattr(importlib.import_module(f"{PACKAGE}.{name}"), CONFIGS[name])
    return config
