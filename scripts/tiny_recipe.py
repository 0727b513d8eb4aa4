r"""The whole recipe on `tiny`, from raw data to a model trained on realtime sessions, in some minutes on two cores.

    pip install -e '.[train,data]' && apt-get install espeak-ng wordnet-base
    npm pack fluentui-emoji@1.3.0 --pack-destination data/assets
    python -m scripts.tiny_recipe --out runs/tiny

Runs the commands that docs/training.md explains, one after the other, prints each before it runs, and draws what was
learned into OUT/recipe.png. A stage that is done already is not run again, and one that was interrupted goes on.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

BUILD, TRAIN = "model.training.data.build", "model.training.train"
# What a tick looks like to the model comes from these; `realtime` takes them as its senses.
PART_STAGES = ("audio_codec", "image_tokenizer", "vision_encoder")
SESSIONS, EVAL_SESSIONS = 24, 4
AGENT_VOICES, USER_VOICES = ("espeak/en-us", "espeak/en-us+f3"), ("espeak/en-gb+m3", "espeak/en-gb+f2")


@dataclass(frozen=True, slots=True)
class Command:
    """One line to run, and the path that is there once it has been run."""

    name: str
    words: tuple[str, ...]
    done: Path


def data_commands(data: Path, assets: Path) -> Iterator[Command]:
    """A little of everything."""
    speech, pictures, text = data / "speech" / "espeak", data / "pictures" / "emoji", data / "text"
    wanted = ("--engine", "espeak", "--hours", "0.1", "--eval-clips", "20", "--out", str(speech))
    yield Command("speech", (BUILD, "speech", *wanted), speech / "done")
    yield Command("pictures", (BUILD, "pictures", "--out", str(pictures), "--assets", str(assets)), pictures / "done")
    yield Command("text", (BUILD, "text", "--sentences", "20000", "--out", str(text)), text / "done")


def stage_commands(data: Path, out: Path) -> Iterator[Command]:
    """Every stage, each from the export of the one before."""

    def stage(name: str, *options: str) -> Command:
        resume = ("--resume",) if (out / name / "checkpoints").exists() else ()
        words = (TRAIN, name, "--preset", "tiny", "--data", str(data), "--out", str(out / name), *options, *resume)
        return Command(name, words, out / name / "export" if name not in ("text_tokenizer", "simulate") else out / name)

    def from_export(name: str) -> tuple[str, str]:
        return ("--start", str(out / name / "export"))

    def steps(count: int) -> tuple[str, ...]:
        return ("--loop.steps", str(count), "--loop.evaluate-every", str(count // 3))

    yield stage("text_tokenizer", "--corpus", str(data / "text"), "--vocab-size", "2000")
    yield stage("audio_codec", *steps(60), "--rows-per-batch", "1")
    yield stage("image_tokenizer", *steps(300))
    yield stage("vision_encoder", *steps(150))
    yield stage("pretrain_text_image", *steps(150))
    yield stage("pretrain_audio", *from_export("pretrain_text_image"), *steps(150))
    yield stage("pretrain_all", *from_export("pretrain_audio"), *steps(150))
    yield stage("instruct", *from_export("pretrain_all"), *steps(99))
    yield stage("dpo", *from_export("instruct"), *steps(60))
    yield stage("internalize")
    counts = ("--sessions", str(SESSIONS), "--eval-sessions", str(EVAL_SESSIONS))
    yield stage("simulate", *counts, "--agent-voices", *AGENT_VOICES, "--user-voices", *USER_VOICES)
    yield stage("realtime", *from_export("dpo"), "--parts", str(out / "parts"), *steps(90), "--rows.rows", "2")


def collect_parts(out: Path) -> None:
    """The trained tokenizers and encoders side by side."""
    (out / "parts").mkdir(exist_ok=True)
    for name in PART_STAGES:
        for path in (out / name / "export").glob("*.safetensors"):
            shutil.copy(path, out / "parts")


def run(command: Command) -> float:
    """Seconds it took; 0 where it had been run before. Raises CalledProcessError where it fails."""
    if command.done.exists():
        print(f"{command.name}: done before")
        return 0.0
    print(f"\n$ python -m {shlex.join(command.words)}", flush=True)
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", *command.words], check=True)
    command.done.parent.mkdir(parents=True, exist_ok=True)
    if not command.done.exists():
        command.done.touch()
    return time.perf_counter() - begun


def draw(out: Path, names: list[str]) -> Path:
    """Loss by step of every stage that has one, and each held-out figure beside it."""
    figure, axes = pyplot.subplots(3, 4, figsize=(14, 8), layout="constrained")
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, names, strict=False):
        rows = [json.loads(line) for line in (out / name / "metrics.jsonl").read_text().splitlines()]
        for figure_name in sorted({key for row in rows for key in row if key == "loss" or key.startswith("held_out/")}):
            points = [(row["step"], row[figure_name]) for row in rows if figure_name in row]
            marker = "o" if figure_name != "loss" else ""
            label = figure_name.replace("held_out/", "held-out ")
            axis.plot(*zip(*points, strict=True), marker=marker, markersize=3, label=label)
        axis.set_title(name, fontsize=10)
        axis.legend(fontsize=6)
    path = out / "recipe.png"
    figure.savefig(path, dpi=80)
    return path


def main() -> int:
    arguments = parser().parse_args()
    out: Path = arguments.out
    data: Path = arguments.data or out / "data"
    seconds: dict[str, float] = {}
    try:
        for command in data_commands(data, arguments.assets) if arguments.data is None else ():
            seconds[command.name] = run(command)
        for command in stage_commands(data, out):
            if command.name == "realtime":
                collect_parts(out)
            seconds[command.name] = run(command)
    except subprocess.CalledProcessError as error:
        print(f"{shlex.join(error.cmd[1:])} ended with {error.returncode}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    names = [name for name in seconds if (out / name / "metrics.jsonl").is_file()]
    print(f"\n{'stage':22}{'seconds':>8}")
    for name, elapsed in seconds.items():
        print(f"{name:22}{elapsed:8.0f}")
    print(f"{'all':22}{sum(seconds.values()):8.0f}\ncurves: {draw(out, names)}")
    return 0


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--out", type=Path, default=Path("runs/tiny"))
    result.add_argument("--data", type=Path, help="a directory of the data engine; a small one is made by default")
    result.add_argument("--assets", type=Path, default=Path("data/assets"), help="where `npm pack` put its packages")
    return result


if __name__ == "__main__":
    sys.exit(main())
