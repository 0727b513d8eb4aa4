"""Sentences that no training saw, by who says them: the agent, other trained voices, unseen ones, people."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.training.data.clip import SpeechClip, Split
from model.training.data.held_out import held_out_reason
from model.training.data.speech_set import SpeechSet
from model.training.speech_rows import speech_sets

PEOPLE = frozenset({"asterisk", "pocketsphinx", "jfk", "moonshine"})  # sources of recordings; the rest is synthetic


@dataclass(frozen=True, slots=True)
class HeldOutSpeech:
    """Where to look, and for how much."""

    data: Path = Path("data")  # what the data engine wrote
    speech: tuple[str, ...] = ()  # sets under DATA/speech; all by default
    agent: str = "joe"
    sentences: int = 100  # of each group


def group_of(speaker: str, source: str, agent: str) -> str:
    if speaker == agent:
        return "agent"
    if source in PEOPLE:
        return "people"
    return "other voices" if held_out_reason(source, speaker) is None else "unseen voices"


def clips_by_group(where: HeldOutSpeech) -> dict[str, Sequence[SpeechClip]]:
    """Held-out clips, spread over speakers. Raises FileNotFoundError where there is none."""
    clips = SpeechSet(*speech_sets(where.data, where.speech), split=Split.EVAL)
    numbers: dict[str, list[int]] = {"agent": [], "other voices": [], "unseen voices": [], "people": []}
    for number, record in enumerate(clips.records):
        numbers[group_of(record.speaker, record.source, where.agent)].append(number)
    groups = {}
    for group, all_of_it in numbers.items():
        chosen = all_of_it[:: max(1, len(all_of_it) // where.sentences)][: where.sentences]
        if chosen:
            groups[group] = [clips[number] for number in chosen]
    if not groups:
        raise FileNotFoundError(f"no held-out speech in {where.data}")
    return groups
