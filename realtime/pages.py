"""Pages: the browser client's files, for browsers. What lies beside them, such as tests and packages, is not served."""

import os
from pathlib import PurePath
from typing import Any, Final

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

_FILES: Final = frozenset({".", "index.html", "app.js", "style.css", "favicon.svg"})  # "." is the folder itself
_FOLDERS: Final = frozenset({"page", "sdk", "examples"})


class Pages(StaticFiles):
    """To be mounted at `/`. A browser asks about each file each time: modules of two versions do not fit together."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        asked = PurePath(path)  # normalized: no ".." is left but at its beginning
        is_served = str(asked) in _FILES or (asked.parts[:1] and asked.parts[0] in _FOLDERS)
        return super().lookup_path(path) if is_served else ("", None)

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response
