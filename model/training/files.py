"""Pretraining's documents and sounds from the data engine's files, tokenized once and kept beside them.

    DATA/text/SPLIT.jsonl  sentences, one JSON object with a "text" a line
    DATA/text/**/*.txt     paragraphs, apart by empty lines; one in a hundred is held out
    DATA/pictures/*/       sets of named pictures
    DATA/speech/*/         sets of speech clips
    DATA/tokens/           what this module writes

Shape legend: F frames, K codebooks.
"""

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from tqdm import tqdm

from model.init import init_weights
from model.pixels import Fit, to_pixels
from model.tokenizers.audio_codec import AudioCodec
from model.tokenizers.image_vq import ImageVQ
from model.tokenizers.text import TextTokenizer
from model.training.codec_weights import load_parts
from model.training.data.clip import Split
from model.training.data.compose import shown
from model.training.data.picture_set import PictureSet
from model.training.data.seeding import random_for
from model.training.data.speech_set import SpeechSet
from model.training.data.voice_activity import VoiceActivity
from model.training.documents import Picture, Words
from model.training.item_cache import Items, cached_items
from model.training.registry import Setup
from streams.types import SAMPLES_PER_TICK, TICK_US, Ids, Samples

HELD_OUT_PARAGRAPHS_ONE_IN = 100
FEWEST_VOICED_FRAMES = 4  # a second


class FileDocuments:
    """Number → a paragraph, or a picture with its name."""

    def __init__(
        self, setup: Setup, tokenizer: TextTokenizer, image_tokenizer: Path | None, picture_share: float, held_out: int
    ) -> None:
        self._tokenizer = tokenizer
        self._picture_share = picture_share
        self._held_out = held_out
        self._texts: dict[Split, Items] = {}
        self._names: dict[Split, list[str]] = {}
        self._pictures: dict[Split, Items] = {}
        if picture_share < 1:
            self._texts = {split: _tokenized_text(setup.data, split, tokenizer) for split in Split}
        if picture_share > 0:
            vq = _image_tokenizer(setup, image_tokenizer)
            for split in Split:
                pictures = PictureSet(*_sets(setup.data / "pictures", split), split=split)
                name = f"pictures-{split}-{key_of(weights_key(vq), repr(pictures))}"
                self._names[split] = [record.name.replace("-", " ") for record in pictures.records]
                self._pictures[split] = cached_items(setup.data / "tokens", name, _codes_of_pictures(pictures, vq), 1)

    def __call__(self, number: int) -> list[Words | Picture]:
        split = Split.EVAL if number >= self._held_out else Split.TRAIN
        random = random_for("document", number)
        if random.random() >= self._picture_share:
            texts = self._texts[split]
            return [Words(texts[int(random.integers(len(texts)))][:, 0].tolist())]
        pictures = self._pictures[split]
        which = int(random.integers(len(pictures)))
        name = Words(self._tokenizer.encode(self._names[split][which]))
        picture = Picture(pictures[which][:, 0].tolist())
        return [name, picture] if random.random() < 0.5 else [picture, name]


class FileSounds:
    """Number → codes [F, K] of a clip's voiced frames."""

    def __init__(self, setup: Setup, codec: Path | None, held_out: int) -> None:
        self._held_out = held_out
        self._codes: dict[Split, Items] = {}
        network = _audio_codec(setup, codec)
        for split in Split:
            speech = SpeechSet(*_sets(setup.data / "speech", split), split=split)
            name = f"speech-{split}-{key_of(weights_key(network), repr(speech))}"
            made = _codes_of_speech(speech, network)
            items = cached_items(setup.data / "tokens", name, made, setup.model.audio.num_codebooks)
            self._codes[split] = _filled(items, setup.data / "speech")

    def __call__(self, number: int) -> Ids:
        codes = self._codes[Split.EVAL if number >= self._held_out else Split.TRAIN]
        return codes[int(random_for("sound", number).integers(len(codes)))]


# --- text -----------------------------------------------------------------------------------------------------------


def texts_of(directory: Path, split: Split) -> Iterator[str]:
    """Sentences and paragraphs of a split. The same paragraph is in the same split wherever it stands."""
    for file in sorted(directory.rglob(f"{split}.jsonl")):
        with file.open("rb") as lines:
            yield from (msgspec.json.decode(line, type=SentenceLine).text for line in lines)
    for file in sorted(directory.rglob("*.txt")):
        for paragraph in file.read_text(encoding="utf-8").split("\n\n"):
            text = paragraph.strip()
            held_out = int(key_of(text), 16) % HELD_OUT_PARAGRAPHS_ONE_IN == 0
            if text and held_out == (split is Split.EVAL):
                yield text


class SentenceLine(msgspec.Struct):
    """What we read of a line of the data engine's sentences."""

    text: str


def _tokenized_text(data: Path, split: Split, tokenizer: TextTokenizer) -> Items:
    files = sorted([*(data / "text").rglob("*.jsonl"), *(data / "text").rglob("*.txt")])
    vocabulary = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
    key = key_of(vocabulary, [(str(file.relative_to(data)), file.stat().st_size) for file in files])
    made = (np.asarray(tokenizer.encode(text))[:, None] for text in texts_of(data / "text", split))
    return _filled(cached_items(data / "tokens", f"text-{split}-{key}", made, 1), data / "text")


# --- pictures -------------------------------------------------------------------------------------------------------


def _image_tokenizer(setup: Setup, weights: Path | None) -> ImageVQ:
    if setup.model.image_vq is None:
        raise ValueError(f"the model {setup.model.name!r} has no image tokenizer")
    vq = ImageVQ(setup.model.image_vq)
    vq.load_state_dict(load_file(_given(weights, "image tokenizer")))
    return vq.eval().requires_grad_(False)


@torch.inference_mode()
def _codes_of_pictures(pictures: PictureSet, vq: ImageVQ) -> Iterator[Ids]:
    side = vq.config.side_px
    for picture in tqdm(pictures, desc=f"pictures, {pictures.split}", leave=False):
        pixels = to_pixels(shown(picture.rgba, side), side, Fit.PAD)
        yield vq.encode(pixels[None]).view(-1, 1).to(torch.int32).numpy()


# --- speech ---------------------------------------------------------------------------------------------------------


def _audio_codec(setup: Setup, weights: Path | None) -> AudioCodec:
    """What turns sound into codes; how it speaks is not needed here."""
    if setup.model.audio_codec is None:
        raise ValueError(f"the model {setup.model.name!r} has no audio codec")
    codec = AudioCodec(setup.model.audio_codec)
    init_weights(codec, seed=0)
    load_parts(codec, _given(weights, "audio codec"), ("encoder.", "quantizer."))
    return codec.eval().requires_grad_(False)


@torch.inference_mode()
def _codes_of_speech(speech: SpeechSet, codec: AudioCodec) -> Iterator[Ids]:
    """Whole clips are encoded, so that a frame's codes have heard what was before it; then the stretches of speech
    are kept.
    """
    activity = VoiceActivity()
    for clip in tqdm(speech, desc=f"speech, {speech.split}", leave=False):
        num_frames = len(clip.pcm) // SAMPLES_PER_TICK
        pcm = clip.pcm[: num_frames * SAMPLES_PER_TICK]
        if num_frames < FEWEST_VOICED_FRAMES:
            continue
        codes_FK = codec.encode(torch.from_numpy(pcm)[None])[0].to(torch.int32).numpy()
        for start, stop in voiced_frames(pcm, activity):
            if stop - start >= FEWEST_VOICED_FRAMES:
                yield codes_FK[start:stop]


def voiced_frames(pcm: Samples, activity: VoiceActivity) -> list[tuple[int, int]]:
    """Stretches [first, last) of whole frames that speech reaches into; the pauses of speech stay in."""
    num_frames = len(pcm) // SAMPLES_PER_TICK
    spans: list[tuple[int, int]] = []
    for span in activity.spans(pcm, max_pause_us=2 * TICK_US):
        first, last = span.start_us // TICK_US, min(-(-span.end_us // TICK_US), num_frames)
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], last)
        elif first < last:
            spans.append((first, last))
    return spans


# --- what all of them need ------------------------------------------------------------------------------------------


def key_of(*parts: object) -> str:
    """A short hash of what made some tokens."""
    return blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def weights_key(network: nn.Module) -> str:
    digest = blake2b(digest_size=8)
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _given(weights: Path | None, what: str) -> Path:
    if weights is None:
        raise ValueError(f"files need the trained weights of the {what}; none were given")
    return weights


def _sets(directory: Path, split: Split) -> list[Path]:
    """Below `directory`, what holds a manifest of the split."""
    found = sorted({manifest.parent for manifest in directory.glob(f"*/{split}-*.jsonl")})
    if not found:
        raise FileNotFoundError(f"nothing for {split} below {directory}; build it with model.training.data.build")
    return found


def _filled(items: Items, directory: Path) -> Items:
    if not len(items):
        raise FileNotFoundError(f"nothing to learn from below {directory}")
    return items
