"""Train a text tokenizer: SentencePiece BPE on a corpus, lossless, with the chat markers as special tokens.

Byte fallback covers what the corpus lacks, and nothing is normalised, so any text comes back as it went in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import sentencepiece

from model.checkpoint import write_atomically
from model.tokenizers.text import SentencePieceTokenizer
from model.training.data.clip import Split
from model.training.files import SentenceLine
from model.training.registry import Setup

MODEL_NAME = "tokenizer.model"
SENTENCES = f"{Split.TRAIN}.jsonl"  # of the data engine: a JSON object with a "text" a line
FEWEST_IDS = 300  # 256 bytes, the specials and a few letters


@dataclass(frozen=True, slots=True)
class TextTokenizerConfig:
    """Which text, and how many ids. By default the preset's own number of text ids, and all text below the data."""

    corpus: Path | None = None  # a text file, or a directory: its *.txt, and what the data engine's text command wrote
    vocab_size: int | None = None
    max_bytes: int = 500_000_000  # of text read at most; the trainer holds it in memory
    num_threads: int = 2

    def build(self, setup: Setup) -> "TextTokenizerStage":
        """Raises FileNotFoundError where there is no text, ValueError for too small a vocabulary."""
        corpus = self.corpus or setup.data
        files = [corpus] if corpus.is_file() else sorted([*corpus.rglob("*.txt"), *corpus.rglob(SENTENCES)])
        if not files:
            raise FileNotFoundError(
                f"no text to train on: {corpus} is neither a file nor a directory with *.txt or {SENTENCES}"
            )
        vocab_size = self.vocab_size or setup.model.vocab.text
        if vocab_size < FEWEST_IDS:
            raise ValueError(f"vocab_size must be at least {FEWEST_IDS} to hold all bytes, got {vocab_size}")
        chat = setup.model.chat
        specials = ("<|endoftext|>", chat.start, chat.end)
        return TextTokenizerStage(self, files, vocab_size, specials)


class TextTokenizerStage:
    """A job: reads text, writes `tokenizer.model`."""

    def __init__(
        self, config: TextTokenizerConfig, files: list[Path], vocab_size: int, specials: tuple[str, ...]
    ) -> None:
        self._config = config
        self._files = files
        self._vocab_size = vocab_size
        self._specials = specials

    def run(self, out_dir: Path) -> str:
        out_dir.mkdir(parents=True, exist_ok=True)
        model = _Buffer()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=self._lines(),
            model_writer=model,
            model_type="bpe",
            vocab_size=self._vocab_size,
            hard_vocab_limit=False,  # a small corpus may hold fewer pieces
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_digits=True,  # a digit a token, which arithmetic is easier with
            character_coverage=0.9999,
            bos_id=-1,
            eos_id=-1,
            control_symbols=list(self._specials),
            num_threads=self._config.num_threads,
            minloglevel=1,
        )
        tokenizer = SentencePieceTokenizer(model.data)
        write_atomically(out_dir / MODEL_NAME, model.data)
        num_bytes, num_tokens = self._measure(tokenizer)
        return (
            f"{out_dir / MODEL_NAME}: {tokenizer.vocab_size} ids, {num_bytes / num_tokens:.2f} bytes a token "
            f"over the first {num_bytes:,} bytes"
        )

    def _lines(self) -> Iterator[str]:
        """Lines with their line feeds, up to the limit."""
        left = self._config.max_bytes
        for path in self._files:
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    is_json = path.name == SENTENCES
                    text = msgspec.json.decode(line, type=SentenceLine).text + "\n" if is_json else line
                    left -= len(text.encode())
                    if left < 0:
                        return
                    yield text

    def _measure(self, tokenizer: SentencePieceTokenizer, limit: int = 1_000_000) -> tuple[int, int]:
        """Bytes and tokens of the beginning of the text."""
        num_bytes = num_tokens = 0
        for line in self._lines():
            num_bytes += len(line.encode())
            num_tokens += len(tokenizer.encode(line))
            if num_bytes >= limit:
                break
        return num_bytes, max(num_tokens, 1)


class _Buffer:
    """What SentencePiece's trainer writes its model to."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)
