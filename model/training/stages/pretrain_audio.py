"""Stage `pretrain_audio`: speech as codes, each frame foreseen from those before, while all else stays frozen.

Only the audio embedding and the audio head learn: sound learns to use the decoder as it is. An audio frame's time is
its position. Frames without a voice are left out, so that silence is not what is learned best.
"""

from dataclasses import dataclass, field
from pathlib import Path

from model.training.config import LoopConfig
from model.training.corpus import DataSource, sounds_of
from model.training.documents import sound_sample
from model.training.language_stage import LanguageStage, held_out_rows, language_network, learn_only
from model.training.packed_rows import RowsConfig
from model.training.registry import Setup
from model.training.sequences import Sample


@dataclass(frozen=True, slots=True)
class PretrainAudioConfig:
    """The options of the stage."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig(learning_rate=2e-3))
    rows: RowsConfig = field(default_factory=RowsConfig)
    source: DataSource = DataSource.SYNTHETIC
    start: Path | None = None  # weights to go on from: a stage's export or a checkpoint directory
    codec: Path | None = None  # trained weights of the audio codec, where speech comes from files

    def build(self, setup: Setup) -> LanguageStage:
        """Raises ValueError or OSError saying what is wrong with weights or files."""
        sound_of = sounds_of(self.source, setup, self.codec)

        def sample_of(number: int) -> Sample:
            return sound_sample(setup.model, sound_of(number))

        network = language_network(setup.model, self.start, self.loop.seed)
        learn_only(network, network.embedding.audio, network.audio_head, network.depth_head)
        return LanguageStage(network, sample_of, held_out_rows(sample_of, self.rows), self.rows)
