"""Documents and sounds from files: tokenized once, held-out material apart, silence left out."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from model.init import init_weights
from model.presets import tiny
from model.tokenizers.audio_codec import AudioCodec
from model.tokenizers.image_vq import ImageVQ
from model.tokenizers.text import ByteTokenizer
from model.training.codec_weights import save_parts
from model.training.corpus import HELD_OUT_FIRST, DataSource
from model.training.data.clip import Split
from model.training.data.voice_activity import Span
from model.training.documents import Words
from model.training.files import FileDocuments, _codes_of_speech, texts_of, voiced_frames
from model.training.item_cache import cached_items
from model.training.registry import Setup
from model.training.stages.pretrain_audio import PretrainAudioConfig
from model.training.stages.pretrain_text_image import PretrainTextImageConfig
from streams.types import SAMPLES_PER_TICK


def words_of(parts: list) -> str:
    return "".join(bytes(part.ids).decode() for part in parts if isinstance(part, Words))


def write_text(data: Path) -> None:
    (data / "text").mkdir(parents=True)
    for split, count in (("train", 20), ("eval", 5)):
        lines = [json.dumps({"text": f"{split} sentence {number}", "kind": "fact"}) for number in range(count)]
        (data / "text" / f"{split}.jsonl").write_text("\n".join(lines))


# --- the cache ------------------------------------------------------------------------------------------------------


def test_items_come_back_as_they_were_made_and_are_made_once(tmp_path: Path):
    items = [np.arange(8).reshape(2, 4), np.zeros((0, 4)), np.arange(4).reshape(1, 4)]
    calls = []

    def make() -> Iterator[np.ndarray]:
        calls.append(1)
        yield from items

    first = cached_items(tmp_path, "codes", make(), 4)
    again = cached_items(tmp_path, "codes", make(), 4)
    assert calls == [1]
    assert len(again) == 3
    for number, item in enumerate(items):
        np.testing.assert_array_equal(first[number], item)
        np.testing.assert_array_equal(again[number], item)


def test_a_cache_that_was_not_finished_is_made_again(tmp_path: Path):
    def breaks() -> Iterator[np.ndarray]:
        yield np.ones((3, 1))
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        cached_items(tmp_path, "ids", breaks(), 1)
    assert len(cached_items(tmp_path, "ids", iter([np.ones((2, 1))]), 1)) == 1


# --- text and pictures ----------------------------------------------------------------------------------------------


def test_training_and_held_out_numbers_read_different_sentences(tmp_path: Path):
    write_text(tmp_path)
    documents = FileDocuments(Setup(tiny(), tmp_path, torch.device("cpu")), ByteTokenizer(), None, 0.0, HELD_OUT_FIRST)
    assert {words_of(documents(number))[:5] for number in range(40)} == {"train"}
    assert {words_of(documents(HELD_OUT_FIRST + number))[:4] for number in range(20)} == {"eval"}
    assert documents(7) == documents(7)


def test_paragraphs_of_text_files_are_parted_by_what_they_say(tmp_path: Path):
    (tmp_path / "a.txt").write_text("\n\n".join(f"paragraph {number}" for number in range(400)))
    parts = [set(texts_of(tmp_path, split)) for split in Split]
    assert not parts[0] & parts[1]
    assert len(parts[0] | parts[1]) == 400
    assert all(parts)


def test_a_stage_reads_files_and_names_what_is_missing(tmp_path: Path):
    write_text(tmp_path)
    setup = Setup(tiny(), tmp_path, torch.device("cpu"))
    stage = PretrainTextImageConfig(source=DataSource.FILES, picture_share=0.0).build(setup)
    assert stage.batch(0).num_samples > 40
    assert "text-train" in " ".join(path.name for path in (tmp_path / "tokens").iterdir())
    with pytest.raises(ValueError, match="weights of the image tokenizer"):
        PretrainTextImageConfig(source=DataSource.FILES).build(setup)
    vq = ImageVQ(tiny().image_vq)
    init_weights(vq, 0)
    save_file({name: tensor.contiguous() for name, tensor in vq.state_dict().items()}, tmp_path / "vq.safetensors")
    with pytest.raises(FileNotFoundError, match="pictures"):
        PretrainTextImageConfig(source=DataSource.FILES, image_tokenizer=tmp_path / "vq.safetensors").build(setup)


# --- speech ---------------------------------------------------------------------------------------------------------


class FakeActivity:
    """Hears speech wherever there is sound."""

    def __init__(self, *spans_ms: tuple[int, int]) -> None:
        self._spans = [Span(start * 1000, end * 1000) for start, end in spans_ms]

    def spans(self, pcm: np.ndarray, max_pause_us: int) -> list[Span]:
        return self._spans


def test_frames_without_a_voice_are_left_out():
    pcm = np.zeros(20 * SAMPLES_PER_TICK, np.float32)
    assert voiced_frames(pcm, FakeActivity((300, 1_600), (4_000, 9_000))) == [(1, 7), (16, 20)]
    assert voiced_frames(pcm, FakeActivity((300, 600), (700, 1_600))) == [(1, 7)]
    assert voiced_frames(pcm, FakeActivity()) == []


def test_codes_of_speech_are_those_that_the_whole_clip_has(monkeypatch: pytest.MonkeyPatch):
    codec = AudioCodec(tiny().audio_codec)
    init_weights(codec, 0)
    codec.eval().requires_grad_(False)
    pcm = np.random.default_rng(0).uniform(-0.5, 0.5, 10 * SAMPLES_PER_TICK + 99).astype(np.float32)

    class OneClip(list):
        split = Split.TRAIN

    clip = type("Clip", (), {"pcm": pcm})
    monkeypatch.setattr("model.training.files.VoiceActivity", lambda: FakeActivity((500, 2_000), (2_250, 2_400)))
    (codes,) = _codes_of_speech(OneClip([clip]), codec)
    whole = codec.encode(torch.from_numpy(pcm[: 10 * SAMPLES_PER_TICK])[None])[0]
    np.testing.assert_array_equal(codes, whole[2:8].numpy())


def test_a_stage_reads_speech_with_the_trained_codec(tmp_path: Path):
    codec = AudioCodec(tiny().audio_codec)
    init_weights(codec, 3)
    save_parts(codec, tmp_path, ("encoder.", "quantizer."))
    setup = Setup(tiny(), tmp_path, torch.device("cpu"))
    with pytest.raises(FileNotFoundError, match="speech"):
        PretrainAudioConfig(source=DataSource.FILES, codec=tmp_path).build(setup)
    with pytest.raises(ValueError, match="weights of the audio codec"):
        PretrainAudioConfig(source=DataSource.FILES).build(setup)
