"""What loading the package brings along."""

import subprocess
import sys

HEAVY = ("torch", "cv2", "pyaudio", "streams", "realtime", "model")


def loaded_after(statement: str) -> list[str]:
    """Top-level modules that a fresh interpreter has loaded."""
    code = f"import sys; sys.path[:] = {sys.path!r}; {statement}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [name for name in result.stdout.split() if "." not in name]


def test_importing_the_client_loads_no_model_library_no_device_library_and_nothing_of_the_server() -> None:
    loaded = loaded_after("import omniweave_client")
    assert "omniweave_client" in loaded
    assert not set(HEAVY) & set(loaded)


def test_neither_does_the_terminal_chat_with_its_devices() -> None:
    loaded = loaded_after("import omniweave_client.chat, omniweave_client.devices")
    assert not set(HEAVY) & set(loaded)
