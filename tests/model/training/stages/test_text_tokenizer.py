from pathlib import Path

import pytest
import torch

from model.presets import tiny
from model.tokenizers.text import SentencePieceTokenizer
from model.training.registry import Setup
from model.training.stages.text_tokenizer import TextTokenizerConfig

TEXT = "the cat sat on the mat, and the other cat sat on the other mat in 1984.\n" * 20


def setup(data: Path) -> Setup:
    return Setup(tiny(), data, torch.device("cpu"))


@pytest.fixture
def tokenizer(tmp_path: Path) -> SentencePieceTokenizer:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "corpus.txt").write_text(TEXT)
    line = TextTokenizerConfig(vocab_size=320, num_threads=1).build(setup(tmp_path)).run(tmp_path / "out")
    assert "bytes a token" in line
    return SentencePieceTokenizer.load(tmp_path / "out" / "tokenizer.model")


def test_any_text_comes_back_as_it_was(tokenizer: SentencePieceTokenizer) -> None:
    for text in ("the cat", "  two  spaces\nand a line\t", "naïve 漢字 🎈", "<|im_end|>"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_frequent_words_are_short_and_digits_stand_alone(tokenizer: SentencePieceTokenizer) -> None:
    assert len(tokenizer.encode(" other cat")) < len(" other cat") / 2
    assert len(tokenizer.encode("1984")) == 4


def test_chat_markers_are_special_and_text_never_is(tokenizer: SentencePieceTokenizer) -> None:
    assert tokenizer.special("<|im_end|>") not in tokenizer.encode("<|im_end|>")


def test_missing_text_and_too_few_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no text to train on"):
        TextTokenizerConfig().build(setup(tmp_path))
    (tmp_path / "corpus.txt").write_text(TEXT)
    with pytest.raises(ValueError, match="at least 300 to hold all bytes, got 259"):
        TextTokenizerConfig().build(setup(tmp_path))  # tiny reads bytes and has no more ids


def test_sentences_of_the_data_engine_are_read_and_held_out_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "all the cats sat down", "kind": "gloss"}\n' * 20)
    (tmp_path / "eval.jsonl").write_text('{"text": "zebras zigzag", "kind": "gloss"}\n' * 50)
    TextTokenizerConfig(vocab_size=320, num_threads=1).build(setup(tmp_path)).run(tmp_path / "out")
    learned = SentencePieceTokenizer.load(tmp_path / "out" / "tokenizer.model")
    assert len(learned.encode(" cats sat")) <= 3
    assert len(learned.encode("zebras")) >= 5
