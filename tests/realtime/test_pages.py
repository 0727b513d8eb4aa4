"""What browsers get of the browser client: all that the page and the example load, and nothing that lies beside it."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from realtime.pages import Pages

CLIENT_DIR = Path(__file__).resolve().parents[2] / "clients" / "browser"
LOADED = re.compile(r"""(?:src|href)="([^"#:]+)"|(?:from|import) '(\.[^']+)'|new URL\('(\.[^']+)'""")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=[Mount("/", Pages(directory=CLIENT_DIR, html=True))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        yield client


async def loaded_from(http: httpx.AsyncClient, path: str) -> set[str]:
    """Every path that is loaded where this one is, itself included; all of them are there."""
    found, waiting = {path}, [path]
    while waiting:
        page = waiting.pop()
        answer = await http.get(page)
        assert answer.status_code == 200, page
        named = {urljoin(page, next(filter(None, groups))) for groups in LOADED.findall(answer.text)}
        waiting += named - found
        found |= named
    return found


async def test_the_page_gets_all_that_it_loads(http: httpx.AsyncClient) -> None:
    found = await loaded_from(http, "/")
    assert found > {"/app.js", "/style.css", "/favicon.svg", "/page/transcript.js", "/sdk/worklets/playback.js"}


async def test_the_example_gets_all_that_it_loads(http: httpx.AsyncClient) -> None:
    assert await loaded_from(http, "/examples/hello.html") > {"/examples/hello.js", "/sdk/index.js"}


@pytest.mark.parametrize(
    "path",
    [
        "/package.json",
        "/README.md",
        "/tests/fakes.js",
        "/node_modules/typescript/package.json",
        "/sdk/../tests/fakes.js",
        "/sdk/%2e%2e/tests/fakes.js",
        "/../../pyproject.toml",
        "/sdk",
    ],
)
async def test_what_lies_beside_is_not_served(http: httpx.AsyncClient, path: str) -> None:
    request = httpx.Request("GET", "http://here/")
    request.url = request.url.copy_with(raw_path=path.encode())  # as it is, with its dots
    assert (await http.send(request)).status_code == 404


async def test_browsers_ask_about_each_module_each_time(http: httpx.AsyncClient) -> None:
    module = await http.get("/app.js")
    assert module.headers["content-type"].startswith("text/javascript")
    assert module.headers["cache-control"] == "no-cache"
