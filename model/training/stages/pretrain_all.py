"""Stage `pretrain_all`: text, pictures and sound side by side, with every weight learning.

A batch mixes modalities, a sample does not yet: it is a document or a sound. The head that a sample does not use is
taught No Output at every position, so that both heads know when the other one speaks.
"""

from dataclasses import dataclass, field
from pathlib import Path

from model.training.config import LoopConfig
from model.training.corpus import DataSource, documents_of, sounds_of
from model.training.data.seeding import random_for
from model.training.documents import document_sample, sound_sample
from model.training.language_stage import LanguageStage, held_out_rows, language_network, language_tokenizer
from model.training.packed_rows import RowsConfig
from model.training.registry import Setup
from model.training.sequences import Sample


@dataclass(frozen=True, slots=True)
class PretrainAllConfig:
    """The options of the stage."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig(learning_rate=1e-3))
    rows: RowsConfig = field(default_factory=RowsConfig)
    source: DataSource = DataSource.SYNTHETIC
    start: Path | None = None  # weights to go on from: a stage's export or a checkpoint directory
    tokenizer: Path | None = None  # directory of the text tokenizer; bytes where there is none
    image_tokenizer: Path | None = None  # trained weights, where pictures come from files
    codec: Path | None = None  # trained weights of the audio codec, where speech comes from files
    picture_share: float = 0.5  # of the documents from files; the rest is text
    sound_share: float = 0.5  # of the samples; the rest are documents
    silence_weight: float = 0.3  # of No Output where a head has nothing to say, beside 1 for tokens

    def __post_init__(self) -> None:
        if not 0 < self.sound_share < 1:
            raise ValueError(f"sound_share lies between 0 and 1, got {self.sound_share}")

    def build(self, setup: Setup) -> LanguageStage:
        """Raises ValueError or OSError saying what is wrong with weights or files."""
        model, tokenizer = setup.model, language_tokenizer(setup.model, self.tokenizer)
        document_of = documents_of(self.source, setup, tokenizer, self.image_tokenizer, self.picture_share)
        sound_of = sounds_of(self.source, setup, self.codec)

        def sample_of(number: int) -> Sample:
            if random_for("pretrain_all", self.loop.seed, number).random() < self.sound_share:
                return sound_sample(model, sound_of(number), self.silence_weight)
            return document_sample(model, document_of(number), self.silence_weight)

        network = language_network(model, self.start, self.loop.seed)
        return LanguageStage(network, sample_of, held_out_rows(sample_of, self.rows), self.rows)
