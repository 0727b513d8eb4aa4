"""The speech command: from an engine's name to a set on disk, with everything installed that the engine needs."""

from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

from model.training.data.engines.catalog import CATALOG, EngineName
from model.training.data.seeding import seed_of
from model.training.data.speech_build import build_speech
from model.training.data.speech_maker import SpeechMaker, SpeechPlan
from model.training.data.text.mix import standard_mix
from model.training.data.voice_activity import VoiceActivity


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--engine", type=EngineName, choices=list(EngineName), required=True)
    parser.add_argument("--hours", type=float, required=True, help="of training speech, over all voices together")
    parser.add_argument("--voices", nargs="+", help="training voices; by default all but the held-out")
    parser.add_argument("--eval-clips", type=int, default=200, help="sentences kept out of training, over all voices")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--assets", type=Path, default=Path("data/assets"), help="where `npm pack` put its packages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)


def run(arguments: Namespace) -> None:
    """Build, or go on building, the set at `--out`."""
    plan = plan_of(arguments.engine, arguments.voices, arguments.eval_clips, arguments.seed)
    build_speech(arguments.out, plan, partial(load_maker, arguments.assets), arguments.hours * 3600, arguments.workers)


def plan_of(engine: EngineName, voices: list[str] | None, eval_clips: int, seed: int) -> SpeechPlan:
    """Training voices round robin; evaluation over the same voices and the held-out ones."""
    entry = CATALOG[engine]
    chosen = tuple(voices or entry.training_voices)
    for voice in chosen:
        if voice not in entry.training_voices:
            raise ValueError(f"{engine} can train on {entry.training_voices}, not on {voice!r}")
    return SpeechPlan(
        engine=engine,
        licence=entry.licence,
        train_voices=chosen,
        eval_voices=entry.held_out_voices + chosen,
        eval_clips=eval_clips,
        seed=seed,
    )


def load_maker(assets: Path, plan: SpeechPlan) -> SpeechMaker:
    """The real engine, the installed corpora and the voice activity detector."""
    engine = CATALOG[EngineName(plan.engine)].load(assets)
    mix = standard_mix(seed_of(plan.seed, plan.engine))  # engines do not all speak the same sentences
    return SpeechMaker(plan, engine, mix, VoiceActivity())
