"""Text → phonemes by espeak-ng, as Piper's package carries it (GPL-3, used as a tool).

One phonemizer per process: espeak-ng keeps its state in globals.
"""

from functools import cache

from model.training.data.missing import MissingPackage

try:
    from piper.phonemize_espeak import EspeakPhonemizer
except ImportError as error:
    raise MissingPackage(f'phonemes need {error.name}: pip install "omniweave-realtime[data]"') from error


@cache
def _phonemizer() -> EspeakPhonemizer:
    return EspeakPhonemizer()


def sentences_of(language: str, text: str) -> list[list[str]]:
    """The symbols of each sentence, with spaces between words and punctuation as written."""
    sentences: list[list[str]] = _phonemizer().phonemize(language, text)
    return sentences


@cache
def on_its_own(language: str, word: str) -> str:
    """The phonemes of a word spoken alone."""
    return " ".join("".join(sentence) for sentence in sentences_of(language, word))
