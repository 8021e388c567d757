"""A gallery page kept as files, against the local ECR Public."""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock

import attrs
import pytest
from aiohttp import web

from aioecrpublic.errors import (
    BrokenReplyError,
    ConfigurationError,
    ConnectError,
    ImageError,
    RepositoryCatalogDataNotFoundException,
    RepositoryNotFoundException,
    ServerException,
    ServiceError,
    ValidationError,
)
from aioecrpublic.local import Fault
from aioecrpublic.manage import CatalogChange, sync_catalog
from aioecrpublic.types import (
    GetRepositoryCatalogDataResponse,
    PutRepositoryCatalogDataResponse,
    RepositoryCatalogDataInput,
)
from tests.push.helpers import REPOSITORY, Wire, connect
from tests.support.web import break_off, serving

if TYPE_CHECKING:
    from pathlib import Path

    from aioecrpublic import ECRPublicClient
    from aioecrpublic.local import LocalECRPublic
    from aioecrpublic.types import RepositoryCatalogData

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
JPEG = b"\xff\xd8\xff" + bytes(200)
TABLE = """
description = "An example"
architectures = ["x86-64", "ARM 64"]
operating_systems = ["Linux"]
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    directory = tmp_path / "page"
    directory.mkdir()
    (directory / "about.md").write_text("# About\n\nLong.\n")
    (directory / "usage.md").write_text("# Usage\n")
    (directory / "catalog.toml").write_text(TABLE)
    (directory / "logo.png").write_bytes(PNG)
    (directory / "README.md").write_text("nobody's business")
    return directory


async def shown(client: ECRPublicClient) -> RepositoryCatalogData:
    data = (await client.get_repository_catalog_data(repository_name=REPOSITORY)).catalog_data
    assert data is not None
    return data


def digest(logo: bytes) -> str:
    return f"sha256:{hashlib.sha256(logo).hexdigest()}"


async def test_a_page_is_put_once(server: LocalECRPublic, client: ECRPublicClient, page: Path) -> None:
    wire = Wire()
    async with connect(server, hooks=[wire]) as watched:
        looked = await sync_catalog(watched, REPOSITORY, page)
        assert (wire.count("PutRepositoryCatalogData"), looked.sent) == (0, False)
        first = await sync_catalog(watched, REPOSITORY, str(page), apply=True)
        assert first == attrs.evolve(looked, applied=True)
        assert (first.sent, first.unconfirmed, first.notes) == (True, (), ())
        again = await sync_catalog(watched, REPOSITORY, page, apply=True)
        assert (again.changes, again.sent) == ((), False)
        assert wire.count("PutRepositoryCatalogData") == 1
    assert first.changes == (
        CatalogChange(member="description", file="catalog.toml", before=None, after="An example"),
        CatalogChange(member="about_text", file="about.md", before=None, after="# About\n\nLong."),
        CatalogChange(member="usage_text", file="usage.md", before=None, after="# Usage"),
        CatalogChange(member="architectures", file="catalog.toml", before=None, after=("ARM 64", "x86-64")),
        CatalogChange(member="operating_systems", file="catalog.toml", before=None, after=("Linux",)),
        CatalogChange(member="logo", file="logo.png", before=None, after=digest(PNG)),
    )
    data = await shown(client)
    assert data.description == "An example"
    assert (data.about_text, data.usage_text) == ("# About\n\nLong.", "# Usage")
    assert (data.architectures, data.operating_systems) == (["x86-64", "ARM 64"], ["Linux"])
    assert data.logo_url


async def test_each_part_is_told_from_the_others(client: ECRPublicClient, page: Path) -> None:
    await sync_catalog(client, REPOSITORY, page, apply=True)
    (page / "about.md").write_text("# About\n")
    (page / "usage.md").unlink()
    (page / "catalog.toml").write_text('architectures = ["ARM 64", "x86-64"]')
    (page / "logo.png").unlink()
    (page / "logo.jpg").write_bytes(JPEG)
    result = await sync_catalog(client, REPOSITORY, page, apply=True)
    assert {change.member: (change.file, change.before, change.after) for change in result.changes} == {
        "about_text": ("about.md", "# About\n\nLong.", "# About"),
        "usage_text": ("usage.md", "# Usage", None),
        "description": ("catalog.toml", "An example", None),
        "operating_systems": ("catalog.toml", ("Linux",), None),
        "logo": ("logo.jpg", digest(PNG), digest(JPEG)),
    }
    (page / "logo.jpg").unlink()
    (gone,) = (await sync_catalog(client, REPOSITORY, page, apply=True)).changes
    assert (gone.member, gone.before, gone.after) == ("logo", digest(JPEG), None)
    data = await shown(client)
    assert (data.about_text, data.logo_url, data.architectures) == ("# About", None, ["ARM 64", "x86-64"])
    assert not data.description
    assert not data.usage_text
    assert not data.operating_systems
    assert not (await sync_catalog(client, REPOSITORY, page)).changes


async def test_what_editors_add_is_no_difference(client: ECRPublicClient, page: Path) -> None:
    await client.put_repository_catalog_data(
        repository_name=REPOSITORY,
        catalog_data=RepositoryCatalogDataInput(
            description="An example\n",
            about_text="# About\r\n\r\nLong.\r\n",
            usage_text="# Usage",
            architectures=["ARM 64", "x86-64"],
            operating_systems=["Linux"],
            logo_image_blob=PNG,
        ),
    )
    (page / "usage.md").write_bytes(b"\xef\xbb\xbf# Usage\r\n\r\n")
    assert (await sync_catalog(client, REPOSITORY, page, apply=True)).changes == ()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("about.md", "é" * 25_601, "about_text is 25601 characters long, at most 25600"),
        ("usage.md", "x" * 25_601, "usage_text is 25601 characters long, at most 25600"),
        ("about.md", b"abc\xff", "not UTF-8 at byte 3"),
        ("logo.png", PNG + bytes(512_000), "logo_image_blob is 512108 bytes long, at most 512000"),
        ("logo.png", b"<svg/>", "neither a PNG nor a JPEG image"),
        ("logo.png", b"", "neither a PNG nor a JPEG image"),
        ("logo.jpeg", JPEG, "there is logo.png too"),
        ("logo.svg", b"<svg/>", "not one of the names about.md"),
        ("About.MD", "x", "not one of the names about.md"),
        ("catalog.yaml", "x", "not one of the names about.md"),
        ("catalog.toml", "description = ", "not TOML: "),
        ("catalog.toml", "description = 1", "description is not a string"),
        ("catalog.toml", f'description = "{"x" * 1025}"', "is 1025 characters long, at most 1024"),
        ("catalog.toml", 'os = ["Linux"]', "os: not one of description, architectures, operating_systems"),
        ("catalog.toml", 'architectures = "x86"', "architectures is not a list of strings"),
        ("catalog.toml", 'architectures = ["x86", "x86"]', "architectures says the same twice"),
        ("catalog.toml", 'operating_systems = [""]', "[0] is 0 characters long, at least 1"),
        ("catalog.toml", f'architectures = ["{"x" * 51}"]', "[0] is 51 characters long, at most 50"),
        ("catalog.toml", f"architectures = {[str(i) for i in range(51)]}", "architectures has 51 items"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_said_before_any_call(
    name: str, content: str | bytes, says: str, server: LocalECRPublic, page: Path
) -> None:
    (page / name).write_bytes(content.encode() if isinstance(content, str) else content)
    wire = Wire()
    async with connect(server, hooks=[wire]) as client:
        with pytest.raises(ConfigurationError) as caught:
            await sync_catalog(client, REPOSITORY, page, apply=True)
    assert str(caught.value).startswith(f"{page / name}: ")
    assert says in str(caught.value)
    assert not wire.sent


async def test_all_that_is_wrong_is_said_at_once(client: ECRPublicClient, page: Path) -> None:
    (page / "about.md").write_text("x" * 30_000)
    (page / "usage.md").unlink()
    (page / "usage.md").mkdir()
    (page / "catalog.toml").write_text('description = 1\nos = "x"\narchitectures = [1]')
    with pytest.raises(ConfigurationError) as caught:
        await sync_catalog(client, REPOSITORY, page, apply=True)
    problems = str(caught.value).split("; ")
    assert len(problems) == 5
    assert any(problem.startswith(f"{page / 'usage.md'}: cannot be read: ") for problem in problems)


async def test_a_directory_without_a_page_removes_nothing(client: ECRPublicClient, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("not a page")
    with pytest.raises(ConfigurationError, match=r"holds none of about\.md, usage\.md"):
        await sync_catalog(client, REPOSITORY, tmp_path, apply=True)
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        await sync_catalog(client, REPOSITORY, tmp_path / "missing", apply=True)


async def test_names_that_cannot_be_and_that_are_not_there(client: ECRPublicClient, page: Path) -> None:
    with pytest.raises(ValidationError, match="the repository's name is 'team/app'"):
        await sync_catalog(client, "public.ecr.aws/local/team/app:1.0", page, apply=True)
    with pytest.raises(RepositoryNotFoundException):
        await sync_catalog(client, "team/missing", page, apply=True)


async def test_what_the_gallery_does_not_know_is_noted(client: ECRPublicClient, page: Path) -> None:
    (page / "catalog.toml").write_text('architectures = ["arm64", "x86"]\noperating_systems = ["linux"]')
    result = await sync_catalog(client, REPOSITORY, page, apply=True)
    assert result.sent
    assert [note.partition(",")[0] for note in result.notes] == [
        "architectures has 'arm64'",
        "operating_systems has 'linux'",
    ]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([(200, PNG)], None),
        ([(503, b""), (200, PNG)], None),
        ([(200, JPEG)], digest(JPEG)),
        ([(403, b"")], "the URL"),
        ([(200, bytes(4 * 1024 * 1024 + 1))], "the URL"),
        ([], "the URL"),
    ],
)
async def test_the_logo_is_read_back(
    answers: list[tuple[int, bytes]], expected: str | None, client: ECRPublicClient, page: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await sync_catalog(client, REPOSITORY, page, apply=True)
    data = await shown(client)
    monkeypatch.setattr("aioecrpublic.images.registry_http.sleep", partial(asyncio.sleep, 0))
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        asked.append(request)
        if len(asked) > len(answers):
            return break_off(request)
        status, body = answers[len(asked) - 1]
        return web.Response(status=status, body=body)

    async with serving(answer) as host:
        data.logo_url = f"http://{host}/logo?signed=a%2Fb"
        reply = GetRepositoryCatalogDataResponse(catalog_data=data)
        monkeypatch.setattr(client, "get_repository_catalog_data", AsyncMock(return_value=reply))
        changes = (await sync_catalog(client, REPOSITORY, page)).changes
    wanted = {None: [], "the URL": [data.logo_url]}.get(expected, [expected])
    assert [change.before for change in changes] == wanted
    # Where nothing is answered, aiohttp asks again by itself.
    assert len(asked) == len(answers) if answers else len(asked) >= 3
    assert {request.raw_path for request in asked} == {"/logo?signed=a%2Fb"}
    assert not [request for request in asked if "Authorization" in request.headers]


async def test_what_the_service_makes_of_it_is_compared(
    client: ECRPublicClient, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync_catalog(client, REPOSITORY, page, apply=True)
    kept = await shown(client)
    (page / "logo.png").unlink()
    (page / "usage.md").write_text("new")

    reply = PutRepositoryCatalogDataResponse(catalog_data=kept)
    monkeypatch.setattr(client, "put_repository_catalog_data", AsyncMock(return_value=reply))
    result = await sync_catalog(client, REPOSITORY, page, apply=True)
    assert result.sent
    assert result.unconfirmed == ("usage_text", "logo")


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("kind", ["lost", "cut"])
async def test_a_page_whose_putting_had_no_answer_is_read_again(
    kind: str, attempts: int, server: LocalECRPublic, client: ECRPublicClient, page: Path
) -> None:
    server.inject(Fault(kind=kind, operation="PutRepositoryCatalogData"))
    async with connect(server, max_attempts=attempts) as once:
        result = await sync_catalog(once, REPOSITORY, page, apply=True)
    assert (result.sent, result.unconfirmed, result.failure) == (True, (), None)
    assert (await sync_catalog(client, REPOSITORY, page)).changes == ()


@pytest.mark.parametrize(("kind", "expected"), [("error", ServerException), ("reset", ConnectError)])
async def test_a_page_that_was_not_put_is_an_error(
    kind: str, expected: type[Exception], server: LocalECRPublic, client: ECRPublicClient, page: Path
) -> None:
    server.inject(Fault(kind=kind, operation="PutRepositoryCatalogData"))
    async with connect(server, max_attempts=1) as once:
        with pytest.raises(expected):
            await sync_catalog(once, REPOSITORY, page, apply=True)
    with pytest.raises(RepositoryCatalogDataNotFoundException):
        await shown(client)


async def test_what_is_refused_is_not_looked_at_again(server: LocalECRPublic, page: Path) -> None:
    server.inject(Fault(kind="error", operation="PutRepositoryCatalogData", code="AccessDenied", status=403))
    wire = Wire()
    async with connect(server, hooks=[wire]) as client:
        await client.create_repository(repository_name=REPOSITORY)
        with pytest.raises(ServiceError, match="AccessDenied"):
            await sync_catalog(client, REPOSITORY, page, apply=True)
    assert wire.count("GetRepositoryCatalogData") == 1


async def test_what_nobody_says_is_not_guessed(server: LocalECRPublic, page: Path) -> None:
    server.inject(
        Fault(kind="lost", operation="PutRepositoryCatalogData"),
        Fault(kind="error", operation="GetRepositoryCatalogData", skip=1),
    )
    async with connect(server, max_attempts=1) as client:
        await client.create_repository(repository_name=REPOSITORY)
        result = await sync_catalog(client, REPOSITORY, page, apply=True)
    assert result.unconfirmed == tuple(change.member for change in result.changes)
    assert result.failure is not None
    assert result.failure.startswith("the connection failed: ")


@pytest.mark.parametrize("alone", [True, False])
async def test_a_logo_that_cannot_be_read_back_proves_nothing(
    server: LocalECRPublic, client: ECRPublicClient, page: Path, monkeypatch: pytest.MonkeyPatch, *,
    alone: bool,
) -> None:  # fmt: skip
    await sync_catalog(client, REPOSITORY, page, apply=True)
    (page / "logo.png").write_bytes(PNG + b"another")
    if not alone:
        (page / "about.md").write_text("new")
    monkeypatch.setattr("aioecrpublic.manage.catalog._fetch", AsyncMock(side_effect=ImageError("no")))
    server.inject(Fault(kind="lost", operation="PutRepositoryCatalogData"))
    async with connect(server, max_attempts=1) as once:
        result = await sync_catalog(once, REPOSITORY, page, apply=True)
    assert result.unconfirmed == ("logo",)
    assert result.failure is not None


async def test_an_answer_without_a_page_is_looked_into(
    client: ECRPublicClient, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = AsyncMock(return_value=PutRepositoryCatalogDataResponse())
    monkeypatch.setattr(client, "put_repository_catalog_data", put)
    with pytest.raises(BrokenReplyError, match="holds no catalog data"):
        await sync_catalog(client, REPOSITORY, page, apply=True)


@pytest.mark.parametrize(
    "url", ["", "logo", "//", "ftp://host/logo", "http://[", "http://\0/", "http://h:99999/"]
)
async def test_a_logo_url_that_is_none_shows_nothing(
    url: str, client: ECRPublicClient, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync_catalog(client, REPOSITORY, page, apply=True)
    monkeypatch.setattr("aioecrpublic.images.registry_http.sleep", partial(asyncio.sleep, 0))
    data = await shown(client)
    data.logo_url = url
    reply = GetRepositoryCatalogDataResponse(catalog_data=data)
    monkeypatch.setattr(client, "get_repository_catalog_data", AsyncMock(return_value=reply))
    (change,) = (await sync_catalog(client, REPOSITORY, page)).changes
    assert (change.member, change.before) == ("logo", url or None)


async def test_reading_a_logo_back_has_an_end(
    client: ECRPublicClient, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync_catalog(client, REPOSITORY, page, apply=True)

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.05)

    monkeypatch.setattr("aioecrpublic.manage.catalog._LOGO_TIMEOUT", 0.5)
    async with serving(trickle) as host:
        data = await shown(client)
        data.logo_url = f"http://{host}/logo"
        reply = GetRepositoryCatalogDataResponse(catalog_data=data)
        monkeypatch.setattr(client, "get_repository_catalog_data", AsyncMock(return_value=reply))
        async with asyncio.timeout(30):
            (change,) = (await sync_catalog(client, REPOSITORY, page)).changes
    assert change.before == data.logo_url
