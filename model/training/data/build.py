"""`python -m model.training.data.build PART …`: makes training data, or shows it. Can be killed and run again."""

import sys
from argparse import ArgumentParser

from model.training.data import (
    noise_command,
    pictures_command,
    recordings_command,
    show_command,
    speech_command,
    text_command,
)
from model.training.data.missing import MissingPackage

_COMMANDS = {
    "speech": speech_command,
    "recordings": recordings_command,
    "pictures": pictures_command,
    "text": text_command,
    "noise": noise_command,
    "show": show_command,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command. What is missing or wrong is told in a line, without a traceback."""
    parser = ArgumentParser(prog="python -m model.training.data.build", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="PART")
    for name, command in _COMMANDS.items():
        part = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        command.add_arguments(part)
        part.set_defaults(run=command.run)
    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
    except (MissingPackage, ValueError, FileNotFoundError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
