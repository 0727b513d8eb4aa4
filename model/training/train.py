"""The command line of the recipe: one stage, one preset, one data directory, one directory for what comes out.

    python -m model.training.train --list
    python -m model.training.train STAGE --preset tiny --data data --out runs/STAGE [--loop.steps 100 ...]
    python -m model.training.train STAGE ... --resume
    torchrun --nproc-per-node 2 -m model.training.train STAGE ... --parallel.fsdp 2

Every field of a stage's config is an option; `STAGE --help` shows them with their defaults.
"""

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import torch
import torch.distributed as dist
import tyro

from model.config import ModelConfig
from model.presets import PRESETS
from model.training.allocator import keep_freed_memory
from model.training.config import LoopConfig
from model.training.loop import check_directory, run
from model.training.parallel import ParallelConfig, find_place
from model.training.registry import CONFIGS, Setup, StageConfig, config_of, summary_of
from model.training.shards import rank

ConfigT = TypeVar("ConfigT")
PROGRAM = "python -m model.training.train"


@dataclass(frozen=True)
class Arguments(Generic[ConfigT]):
    """What every stage takes, and the stage's own options."""

    stage: Annotated[ConfigT, tyro.conf.arg(name="")]
    preset: Annotated[str, tyro.conf.arg(metavar="{" + ",".join(PRESETS) + "}")] = "tiny"  # the model
    data: Path = Path("data")  # what the data engine wrote
    out: Path | None = None  # checkpoints, logs, report and export; runs/STAGE-PRESET by default
    resume: bool = False  # go on from the newest checkpoint in `out`
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 2 and a line of text where it cannot start, 130 where it was interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help", "--list"):
        print(overview())
        return 0
    torch.set_flush_denormal(True)  # before the first parallel region, whose threads take this over
    keep_freed_memory()
    try:
        return start(arguments)
    except StartError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


class StartError(Exception):
    """A run that cannot begin: a wrong option, missing data, a directory in use. Its text says which."""


def start(arguments: list[str]) -> int:
    """Parse, build the stage and run it."""
    name = arguments[0]
    try:
        chosen = parse(name, arguments[1:])
        out = chosen.out or Path("runs") / f"{name}-{chosen.preset}"
        place = find_place(chosen.parallel)
        stage = chosen.stage.build(Setup(preset(chosen.preset), chosen.data, place.device))
        loop: LoopConfig | None = getattr(chosen.stage, "loop", None)
        if loop is not None:
            check_directory(out, chosen.resume)
    except (ValueError, OSError) as error:
        raise StartError(str(error)) from error
    if loop is None:
        print(stage.run(out))
        return 0
    report = run(stage, loop, out, title=f"{name} {chosen.preset}", resume=chosen.resume, place=place)
    if rank() == 0:
        if not report.finished:
            again = [*arguments, *([] if chosen.resume else ["--resume"])]
            print(f"Stopped after {report.steps} steps. Go on with:\n  {PROGRAM} {shlex.join(again)}")
        else:
            print(f"Done: {out / 'report.md'}, {out / 'export'}")
    return 0 if report.finished else 130


def parse(name: str, options: list[str]) -> Arguments[StageConfig]:
    """Options of a stage. Prints and exits for --help, and where an option is wrong."""
    return tyro.cli(
        Arguments[config_of(name)],  # type: ignore[misc]
        args=options,
        prog=f"{PROGRAM} {name}",
        description=summary_of(name),
        config=(tyro.conf.EnumChoicesFromValues, tyro.conf.FlagCreatePairsOff),
    )


def preset(name: str) -> ModelConfig:
    """The model of this name."""
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]()


def overview() -> str:
    """All stages, a line each."""
    lines = [f"  {name:22} {summary_of(name)}" for name in CONFIGS]
    return "\n".join((f"usage: {PROGRAM} STAGE [options]; STAGE --help shows a stage's options\n\nstages:", *lines))


if __name__ == "__main__":
    sys.exit(main())
