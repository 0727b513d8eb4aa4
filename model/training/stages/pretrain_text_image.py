"""Stage `pretrain_text_image`: text with pictures between its words, each token foreseen from those before.

Pictures are codes of the image tokenizer between their delimiters. All of a document is received (source flag 0) and
has one constant time. What belongs to sound does not learn yet.
"""

from dataclasses import dataclass, field
from pathlib import Path

from model.training.config import LoopConfig
from model.training.corpus import DataSource, documents_of
from model.training.documents import document_sample
from model.training.language_stage import (
    LanguageStage,
    held_out_rows,
    language_network,
    language_tokenizer,
    learn_only,
)
from model.training.packed_rows import RowsConfig
from model.training.registry import Setup
from model.training.sequences import Sample


@dataclass(frozen=True, slots=True)
class PretrainTextImageConfig:
    """The options of the stage."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig(learning_rate=2e-3))
    rows: RowsConfig = field(default_factory=RowsConfig)
    source: DataSource = DataSource.SYNTHETIC
    start: Path | None = None  # weights to go on from: a stage's export or a checkpoint directory
    tokenizer: Path | None = None  # directory of the text tokenizer; bytes where there is none
    image_tokenizer: Path | None = None  # trained weights, where pictures come from files
    picture_share: float = 0.5  # of the documents from files; the rest is text

    def build(self, setup: Setup) -> LanguageStage:
        """Raises ValueError or OSError saying what is wrong with weights or files."""
        model, tokenizer = setup.model, language_tokenizer(setup.model, self.tokenizer)
        document_of = documents_of(self.source, setup, tokenizer, self.image_tokenizer, self.picture_share)

        def sample_of(number: int) -> Sample:
            return document_sample(model, document_of(number))

        network = language_network(model, self.start, self.loop.seed)
        embedding = network.embedding
        learn_only(network, embedding.text, embedding.extra, embedding.fuse, network.decoder, network.text_head)
        return LanguageStage(network, sample_of, held_out_rows(sample_of, self.rows), self.rows)
