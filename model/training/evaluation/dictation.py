"""Writing down what is said: word error rates on sentences that no training spoke, by synthetic voices and people."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from model.training.data.clip import SpeechClip, Split
from model.training.data.seeding import random_for
from model.training.data.speech_set import SpeechSet
from model.training.evaluation.bench import Bench
from model.training.evaluation.examining import listen, perform, until_answered
from model.training.evaluation.exams import Exam
from model.training.evaluation.figures import Bar, Row, Unit, cannot, missing, rate
from model.training.evaluation.live import LiveUser, LostSession
from model.training.evaluation.sentences import held_out_sentences
from model.training.held_out_speech import PEOPLE
from model.training.simulation import exchanges_tasks as tasks
from model.training.simulation.scene import Scene
from model.training.spelling import word_errors
from streams.types import Samples

SENTENCES = 4  # of a session
PAUSE_US = 900_000  # between them


def start_dictation(number: int) -> Exam:
    """The request to write down what is said from now on, and what the agent says to it."""
    scene = Scene(Split.EVAL, random_for("dictation", number), sees=False)
    asked, answered, *_ = tasks.transcribe(scene)
    return Exam("transcribe", number, (asked, answered), (), ("hears",))


def dictate(bench: Bench, user: LiveUser, pcm: Samples) -> str:
    """What the agent writes from the beginning of this sound until it is quiet after it."""
    assert user.microphone is not None
    spoken = user.microphone.say(pcm, PAUSE_US)
    moments = listen(user, spoken.last_tick + 1 - user.microphone.tick)
    moments += until_answered(user, bench.patience)
    return "".join(moment.text for moment in moments)


@dataclass
class Dictation:
    """Sounds with their texts, some to a session, after the request to write them down."""

    bench: Bench
    title: str
    judged: Bar
    texts: Sequence[str]
    missing: str = "nothing to dictate"
    errors: list[tuple[int, int]] = field(default_factory=list)  # (wrong, words) of each sentence
    written: list[tuple[str, str]] = field(default_factory=list)

    def sound(self, number: int) -> Samples:
        """Of text `number`."""
        speaker = self.bench.speaker(number // SENTENCES)
        return speaker.say(self.texts[number], number).pcm

    def run(self) -> None:
        if not self.bench.info.hears or not self.texts or self.errors:
            return
        for first in tqdm(range(0, len(self.texts), SENTENCES), self.title, unit="session"):
            numbers = range(first, min(first + SENTENCES, len(self.texts)))
            with self.bench.user(f"{self.title}-{first}", spoken=True) as user:
                speaker = self.bench.speaker(first // SENTENCES)
                perform(start_dictation(first // SENTENCES), user, speaker, self.bench.patience)
                for number in numbers:
                    self._dictated(user, number)

    def _dictated(self, user: LiveUser, number: int) -> None:
        try:
            written = dictate(self.bench, user, self.sound(number))
        except LostSession:
            written = ""
        self.written.append((self.texts[number], written))
        self.errors.append(word_errors(self.texts[number], written))

    def rows(self) -> list[Row]:
        if not self.bench.info.hears:
            return [cannot(self.title, self.judged, Unit.SHARE, missing(self.bench.info, "hears"))]
        return [
            rate(self.title, self.judged, Unit.SHARE, self.errors, "sentences", "" if self.errors else self.missing)
        ]


@dataclass
class PeopleDictation(Dictation):
    """The same with recordings of people."""

    clips: Sequence[SpeechClip] = ()

    def sound(self, number: int) -> Samples:
        return self.clips[number].pcm


def synthetic_dictation(bench: Bench, count: int) -> Dictation:
    title = "transcription WER, unseen synthetic voices"
    return Dictation(bench, title, Bar(False, 0.35, 0.15), held_out_sentences(count))


def people_dictation(bench: Bench, data: Path, count: int) -> PeopleDictation:
    """From the held-out recordings among the speech sets below `data`."""
    clips = recordings(data, count)
    texts = [clip.text for clip in clips]
    title = "transcription WER, people"
    return PeopleDictation(
        bench, title, Bar(False, None, 0.30), texts, f"no recordings of people in {data}", clips=clips
    )


def recordings(data: Path, count: int) -> list[SpeechClip]:
    """Held-out clips of people, spread over what there is; none where there are no sets."""
    directories = sorted(path for path in (data / "speech").glob("*") if path.is_dir())
    if not directories or count < 1:
        return []
    clips = SpeechSet(*directories, split=Split.EVAL)
    numbers = [number for number, record in enumerate(clips.records) if record.source in PEOPLE]
    return [clips[number] for number in numbers[:: max(1, len(numbers) // count)][:count]]
