"""What of Docker's and Podman's configuration counts for a registry, and that nothing in it stops a pull."""

from __future__ import annotations

import base64
import json
import logging
import os
import pwd
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aioecrpublic.images import ImageError, RegistryCredentials
from aioecrpublic.images.docker_config import find_credentials, host_of
from tests.support.soak import SOAK
from tests.support.users import public_directory, without_rights

if TYPE_CHECKING:
    from collections.abc import Iterator

SOMEONE = RegistryCredentials(username="someone", password="pass:word")
OTHER = RegistryCredentials(username="other", password="word")


def auth(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return base64.b64encode(raw).decode()


ENTRY = {"auth": auth("someone:pass:word")}
OTHER_ENTRY = {"auth": auth("other:word")}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def write(config: Path, document: object) -> Path:
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_bytes(json.dumps(document).encode())
    return config


def helper(directory: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a credential helper on the path."""
    path = directory / "bin" / f"docker-credential-{name}"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    return path


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "host"),
        [
            ("ghcr.io", "ghcr.io"),
            ("https://ghcr.io", "ghcr.io"),
            ("https://ghcr.io/v2/", "ghcr.io"),
            ("http://ghcr.io/some/path?query#fragment", "ghcr.io"),
            ("HTTPS://someone:secret@ghcr.io", "ghcr.io"),
            ("ghcr.io/", "ghcr.io"),
            ("ghcr.io/v2/", "ghcr.io"),
            ("ghcr.io/team", "ghcr.io"),
            ("ghcr.io/team/app", "ghcr.io"),
            ("localhost:5000", "localhost:5000"),
            ("http://localhost:5000/v2/", "localhost:5000"),
            ("https://[::1]:5000/v2/", "[::1]:5000"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("https://registry-1.docker.io/v2/", "docker.io"),
            ("docker.io", "docker.io"),
            ("docker.io/team", "docker.io"),
        ],
    )
    def test_an_entry_is_found_by_any_name_of_its_registry(self, config: Path, key: str, host: str) -> None:
        write(config, {"auths": {"other.example": OTHER_ENTRY, key: ENTRY}})
        assert find_credentials(host, repository="team/app") == SOMEONE
        assert find_credentials("elsewhere.example", repository="team/app") is None

    @pytest.mark.parametrize(
        "key",
        [
            "ghcr.io/team/ap",
            "ghcr.io/team/app/x",
            "ghcr.io/other",
            "ghcr.io:443",
            "xghcr.io",
            "https://ghcr.io:443/",
            "https:///ghcr.io",
            " ghcr.io",
            "",
        ],
    )
    def test_an_entry_of_something_else_is_not_used(self, config: Path, key: str) -> None:
        write(config, {"auths": {key: ENTRY}})
        assert find_credentials("ghcr.io", repository="team/app") is None

    def test_the_longest_name_wins_then_the_host_then_an_address(self, config: Path) -> None:
        names = ["ghcr.io/team/app", "ghcr.io/team", "ghcr.io", "https://ghcr.io/v1/", "http://ghcr.io"]
        entries = {name: {"auth": auth(f"someone:{name}")} for name in names}
        for number, name in enumerate(names):
            write(config, {"auths": {key: entries[key] for key in reversed(names[number:-1])}})
            if number < len(names) - 1:
                found = find_credentials("ghcr.io", repository="team/app")
                assert found == RegistryCredentials(username="someone", password=name)
        # Of several addresses it is the first.
        write(config, {"auths": {key: entries[key] for key in names[3:]}})
        assert find_credentials("ghcr.io") == RegistryCredentials(username="someone", password=names[3])

    def test_an_empty_entry_ends_the_search_in_its_file(self, config: Path) -> None:
        write(config, {"auths": {"ghcr.io": ENTRY, "ghcr.io/team": {}}})
        assert find_credentials("ghcr.io", repository="team/app") is None
        assert find_credentials("ghcr.io", repository="other/app") == SOMEONE

    @pytest.mark.parametrize(
        ("address", "host"),
        [
            ("public.ecr.aws", "public.ecr.aws"),
            ("https://public.ecr.aws/v2/", "public.ecr.aws"),
            ("http://user:password@host:5000", "host:5000"),
            ("host:5000/path", "host:5000"),
            ("http://[::1]:5000", "[::1]:5000"),
            ("", ""),
        ],
    )
    def test_the_host_of_an_address(self, address: str, host: str) -> None:
        assert host_of(address) == host


class TestEntries:
    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            ({"username": "someone", "password": "pass:word"}, SOMEONE),
            ({"username": "x", "password": "y", **ENTRY}, SOMEONE),
            ({"auth": auth("someone:\0pass:word\0\0")}, SOMEONE),
            ({"auth": auth("someone:pass:word").rstrip("=")}, SOMEONE),
            ({"auth": f"{auth('someone:pass:word')[:7]}\r\n{auth('someone:pass:word')[7:]}\n"}, SOMEONE),
            ({"Auth": ENTRY["auth"], "email": 5, "more": [{}]}, SOMEONE),
            ({"auth": ENTRY["auth"], "username": None, "identitytoken": None}, SOMEONE),
            ({"auth": auth("someone:")}, RegistryCredentials(username="someone")),
            ({"auth": auth(":word")}, RegistryCredentials(password="word")),
            (
                {**ENTRY, "identitytoken": "abc"},
                RegistryCredentials(username="someone", password="pass:word", identity_token="abc"),
            ),
            ({"identitytoken": "abc"}, RegistryCredentials(identity_token="abc")),
            ({"auth": ""}, None),
            ({"auth": auth(":")}, None),
            ({"auth": None}, None),
            ({}, None),
            (None, None),
        ],
    )
    def test_ways_of_saying_it(
        self, config: Path, entry: object, expected: RegistryCredentials | None
    ) -> None:
        write(config, {"auths": {"ghcr.io": entry}})
        assert find_credentials("ghcr.io") == expected
        assert find_credentials("ghcr.io", config) == expected

    def test_a_password_keeps_its_bytes(self, config: Path) -> None:
        write(config, {"auths": {"ghcr.io": {"auth": auth(b"some\xe9:\xff\xfe")}}})
        found = find_credentials("ghcr.io")
        assert found is not None
        assert base64.b64decode(found.basic.removeprefix("Basic ")) == b"some\xe9:\xff\xfe"

    def test_half_a_character_does_no_harm(self, config: Path) -> None:
        config.write_text(
            r'{"auths": {"ghcr.io": {"username": "a\ud800", "password": "b"}}}', encoding="utf-8"
        )
        found = find_credentials("ghcr.io")
        assert found is not None
        assert base64.b64decode(found.basic.removeprefix("Basic ")).decode() == "a\ufffd:b"

    def test_a_token_that_cannot_be_used_is_told(
        self, config: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        write(config, {"auths": {"ghcr.io": {"registrytoken": "hidden"}}})
        assert find_credentials("ghcr.io") is None
        assert "auths: ghcr.io: registrytoken is not supported" in caplog.text
        assert "hidden" not in caplog.text


class TestDocuments:
    @pytest.mark.parametrize(
        "content",
        [b"", b" \r\n\t", b"null", b"{}", b"\xef\xbb\xbf", b'{"auths": null, "credHelpers": null}'],
    )
    def test_a_file_that_says_nothing(
        self, config: Path, content: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        config.write_bytes(content)
        assert find_credentials("ghcr.io") is None
        assert find_credentials("ghcr.io", config) is None
        assert not caplog.records

    @pytest.mark.parametrize(
        "content",
        [
            "\ufeff" + json.dumps({"auths": {"ghcr.io": ENTRY}}),
            json.dumps({"auths": {"ghcr.io": ENTRY}}) + "}",
            json.dumps({"AUTHS": {"ghcr.io": ENTRY}}),
            json.dumps({"auths": {"ghcr.io": OTHER_ENTRY}})[:-1]
            + f', "auths": {{"ghcr.io": {json.dumps(ENTRY)}}}}}',
            json.dumps({"auths": {"ghcr.io": ENTRY}})[:-1] + ', "auths": {"quay.io": {}}}',
            '{"auths": {"quay.io": 5, "ghcr.io": ' + json.dumps(ENTRY) + "}}",
            '{"auths": {"ghcr.io": {"auth": "x", "auth": "' + ENTRY["auth"] + '"}}}',
            '{"number": 1e999, "long": ' + "9" * 9999 + ', "auths": {"ghcr.io": ' + json.dumps(ENTRY) + "}}",
            '{"x": [[[[{}]]]], "credsStore": null, "auths": {"ghcr.io": ' + json.dumps(ENTRY) + "}}",
        ],
    )
    def test_what_go_reads_is_read(self, config: Path, content: str) -> None:
        config.write_text(content, encoding="utf-8")
        assert find_credentials("ghcr.io") == SOMEONE

    def test_a_byte_that_is_not_utf8_spoils_its_own_string_only(self, config: Path) -> None:
        config.write_bytes(b'{"x": "\xff", "auths": {"ghcr.io": ' + json.dumps(ENTRY).encode() + b"}}")
        assert find_credentials("ghcr.io") == SOMEONE

    def test_null_takes_back_what_was_said_before(self, config: Path) -> None:
        config.write_text(
            json.dumps({"auths": {"ghcr.io": ENTRY}})[:-1] + ', "auths": null}', encoding="utf-8"
        )
        assert find_credentials("ghcr.io") is None

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "not valid JSON: Expecting property name"),
            ("[]", "the document must be an object"),
            ('{"x": NaN}', "not valid JSON: NaN is not a JSON value"),
            ("[" * 100_000, "JSON nested too deeply"),
            ('{"auths": []}', "auths must be an object"),
            ('{"credHelpers": "x"}', "credHelpers must be an object"),
            ('{"credsStore": {}}', "credsStore must be text"),
            ('{"auths": {"ghcr.io": 1}}', "auths: ghcr.io must be an object"),
            ('{"auths": {"https://a:hidden@ghcr.io": 1}}', "auths: ghcr.io must be an object"),
            ('{"auths": {"ghcr.io": {"auth": []}}}', "auths: ghcr.io: auth must be text"),
            ('{"auths": {"ghcr.io": {"auth": "!"}}}', "auth is not base64 of USER:PASSWORD"),
            ('{"auths": {"ghcr.io": {"auth": "hidden"}}}', "auth is not base64 of USER:PASSWORD"),
            ('{"auths": {"ghcr.io": {"auth": "hidden\u00e9"}}}', "auth is not base64 of USER:PASSWORD"),
            ('{"auths": {"ghcr.io": {"auth": "eA=="}}}', "auth is not base64 of USER:PASSWORD"),
            ('{"credHelpers": {"ghcr.io": 5}}', "credHelpers: ghcr.io must be text"),
            (
                '{"credHelpers": {"ghcr.io": "../../bin/sh"}}',
                "'../../bin/sh' is not a valid name of a credential helper",
            ),
            ('{"credsStore": "a b"}', "credsStore: 'a b' is not a valid name of a credential helper"),
        ],
    )
    def test_a_malformed_file_is_told_and_refused_only_where_it_was_named(
        self, config: Path, content: str, message: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        config.write_text(content, encoding="utf-8")
        assert find_credentials("ghcr.io") is None
        assert f"{config}: {message}" in caplog.text or message in caplog.text
        assert str(config) in caplog.text
        with pytest.raises(ImageError) as caught:
            find_credentials("ghcr.io", config)
        assert message in str(caught.value)
        assert str(caught.value).startswith(f"{config}: ")
        assert "hidden" not in caplog.text + str(caught.value) + repr(caught.value.__cause__)


class TestFiles:
    @pytest.fixture(autouse=True)  # ruff: ignore[pytest-fixture-autouse] - each test here is about where files are
    def _places(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def test_they_are_read_in_podmans_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        places = [
            tmp_path / "home/.docker/config.json",
            tmp_path / "home/.config/containers/auth.json",
            tmp_path / "run/containers/auth.json",
        ]
        for place in places:
            assert find_credentials("new.example") is None
            document = {"auths": {"ghcr.io": {"auth": auth(f"someone:{place}")}, place.name: ENTRY}}
            write(place, document)
            assert find_credentials("ghcr.io") == RegistryCredentials(username="someone", password=str(place))
        # What the first does not have, a later one may.
        assert find_credentials("config.json") == SOMEONE
        # The file that is named takes the place of the first.
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(write(tmp_path / "my.json", {"auths": {"x": ENTRY}})))
        assert find_credentials("x") == SOMEONE
        found = find_credentials("ghcr.io")
        assert found == RegistryCredentials(username="someone", password=str(places[1]))

    def test_variables_say_where_and_empty_ones_say_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path / "home/.docker/config.json", {"auths": {"ghcr.io": ENTRY}})
        for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(name, "")
        assert find_credentials("ghcr.io") == SOMEONE
        write(tmp_path / "docker/config.json", {"auths": {"ghcr.io": OTHER_ENTRY}})
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
        assert find_credentials("ghcr.io") == OTHER
        write(tmp_path / "xdg/containers/auth.json", {"auths": {"ghcr.io": ENTRY}})
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
        assert find_credentials("ghcr.io") == SOMEONE

    def test_one_that_cannot_be_read_does_not_hide_the_next(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "run/containers").mkdir(parents=True)
        broken = tmp_path / "run/containers/auth.json"
        write(tmp_path / "home/.docker/config.json", {"auths": {"ghcr.io": ENTRY}})
        for content in ("{", "x" * (1024 * 1024 + 1)):
            caplog.clear()
            broken.write_text(content)
            assert find_credentials("ghcr.io") == SOMEONE
            assert [record.levelno for record in caplog.records] == [logging.WARNING]
            assert str(broken) in caplog.text

    @pytest.mark.parametrize("kind", ["directory", "FIFO", "too large", "missing", "below a file"])
    def test_what_is_not_a_readable_file(
        self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "config.json"
        match kind:
            case "directory":
                path.mkdir()
            case "FIFO":
                os.mkfifo(path)
            case "too large":
                path.write_bytes(b" " * (1024 * 1024 + 1))
            case "below a file":
                (tmp_path / "file").write_bytes(b"")
                path = tmp_path / "file" / "config.json"
        said = {
            "directory": "not a regular file (a directory)",
            "FIFO": "not a regular file (a FIFO)",
            "too large": "larger than 1048576 bytes",
            "missing": "No such file or directory",
            "below a file": "Not a directory",
        }[kind]
        with pytest.raises(ImageError) as caught:
            find_credentials("ghcr.io", path)
        assert str(caught.value) == f"{path}: cannot be read: {said}"
        # Named by a variable, it is told.
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(path))
        assert find_credentials("ghcr.io") is None
        assert f"{path}: cannot be read: {said}" in caplog.text
        # Where nobody has named it, what is not there is no matter.
        caplog.clear()
        monkeypatch.delenv("REGISTRY_AUTH_FILE")
        monkeypatch.setenv("DOCKER_CONFIG", str(path.parent))
        assert find_credentials("ghcr.io") is None
        assert bool(caplog.records) == (kind in {"directory", "FIFO", "too large"})

    def test_a_path_that_is_none_is_named(self) -> None:
        with pytest.raises(ImageError, match=r"a\\x00b: cannot be read: .*null (byte|character)"):
            find_credentials("ghcr.io", Path("a\0b"))

    def test_without_a_home(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        def unknown(uid: int) -> pwd.struct_passwd:
            raise KeyError(uid)

        monkeypatch.setattr(pwd, "getpwuid", unknown)
        for home in (None, ""):
            if home is None:
                monkeypatch.delenv("HOME")
            else:
                monkeypatch.setenv("HOME", home)
            assert find_credentials("ghcr.io") is None
        assert not caplog.records

    def test_the_home_of_a_user_without_the_variable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HOME")
        entry = pwd.struct_passwd(("x", "x", 1, 1, "", str(tmp_path / "theirs"), ""))
        monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
        write(tmp_path / "theirs/.docker/config.json", {"auths": {"ghcr.io": ENTRY}})
        assert find_credentials("ghcr.io") == SOMEONE

    def test_the_home_and_the_file_of_somebody_else(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        with public_directory() as root:
            file = write(root / "config.json", {"auths": {"ghcr.io": ENTRY}})
            closed = root / "home"
            write(closed / ".docker/config.json", {"auths": {"ghcr.io": ENTRY}})
            file.chmod(0)
            closed.chmod(0)
            monkeypatch.setenv("HOME", str(closed))
            with without_rights():
                # A home that is closed is like one that has nothing in it.
                assert find_credentials("ghcr.io") is None
                assert not caplog.records
                monkeypatch.setenv("DOCKER_CONFIG", str(root))
                assert find_credentials("ghcr.io") is None
                assert f"{file}: cannot be read: Permission denied" in caplog.text
                with pytest.raises(ImageError, match=f"{file}: cannot be read: Permission denied"):
                    find_credentials("ghcr.io", file)
            closed.chmod(0o700)


class TestHelpers:
    def test_they_are_asked_for_their_registry(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(config, {"credHelpers": {"ghcr.io": "test"}, "auths": {"quay.io": ENTRY, "ghcr.io/team": {}}})
        helper(
            config.parent,
            "test",
            'read server; [ "$1 $server" = "get ghcr.io" ] && '
            'echo \'{"ServerURL": "ghcr.io", "Username": "someone", "Secret": "pass:word"}\'',
            monkeypatch,
        )
        assert find_credentials("ghcr.io", repository="team/app") == SOMEONE
        assert find_credentials("quay.io") == SOMEONE

    @pytest.mark.parametrize("name", ["docker.io", "index.docker.io", "https://index.docker.io/v1/"])
    def test_that_of_docker_hub_has_three_names(
        self, name: str, config: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(config, {"credHelpers": {name: "test"}})
        script = 'read server; echo "{\\"Username\\": \\"$server\\", \\"Secret\\": \\"x\\"}"'
        helper(config.parent, "test", script, monkeypatch)
        assert find_credentials("docker.io") == RegistryCredentials(username=name, password="x")

    def test_the_store_comes_before_the_file(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(config, {"credsStore": "test", "auths": {"quay.io": ENTRY, "docker.io": {}}})
        helper(
            config.parent,
            "test",
            'read server; case "$server" in https://index.docker.io/v1/)'
            ' echo \'{"username": "<token>", "secret": "identity"}\';;'
            " *) echo credentials not found in native keychain; exit 1;; esac",
            monkeypatch,
        )
        assert find_credentials("docker.io") == RegistryCredentials(identity_token="identity")
        assert find_credentials("quay.io") == SOMEONE
        assert find_credentials("ghcr.io") is None

    def test_an_empty_name_is_for_no_helper_at_all(
        self, config: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(config, {"credsStore": "test", "credHelpers": {"ghcr.io": ""}, "auths": {"ghcr.io": ENTRY}})
        helper(config.parent, "test", 'echo \'{"Username": "x", "Secret": "y"}\'', monkeypatch)
        assert find_credentials("ghcr.io") == SOMEONE
        assert find_credentials("quay.io") == RegistryCredentials(username="x", password="y")

    @pytest.mark.parametrize(
        "script", ["exit 3", "echo secret; exit 3", "echo credentials not found in native keychain; exit 1"]
    )
    def test_what_a_helper_does_not_give_is_not_taken_from_the_same_file(
        self, script: str, tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is what was there before the helper: a password that has run out stops a pull, none does not."""
        write(config, {"credHelpers": {"ghcr.io": "test"}, "auths": {"ghcr.io": ENTRY}})
        helper(config.parent, "test", script, monkeypatch)
        assert find_credentials("ghcr.io") is None
        assert find_credentials("ghcr.io", config) is None
        other = write(tmp_path / "auth.json", {"credHelpers": {"ghcr.io": "test"}})
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(other))
        write(config, {"auths": {"ghcr.io": OTHER_ENTRY}})
        assert find_credentials("ghcr.io") == OTHER

    @pytest.mark.parametrize("table", ["credsStore", "credHelpers"])
    @pytest.mark.parametrize(
        ("script", "message"),
        [
            (None, "docker-credential-test is not installed: it is in none of PATH's directories"),
            ("exit 3", "docker-credential-test failed with exit status 3"),
            ("echo hidden; echo hidden >&2; exit 3", "docker-credential-test failed with exit status 3"),
            ("echo hidden", "docker-credential-test has answered with something else than credentials"),
            ("echo '[\"hidden\"]'", "with something else than credentials"),
            ('echo \'{"Username": "hidden", "Secret": 1}\'', "with something else than credentials"),
        ],
    )
    def test_one_that_does_not_work_is_told_and_stops_nothing(
        self,
        table: str,
        script: str | None,
        message: str,
        config: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        write(config, {table: "test" if table == "credsStore" else {"ghcr.io": "test"}})
        if script is not None:
            helper(config.parent, "test", script, monkeypatch)
        assert find_credentials("ghcr.io") is None
        assert find_credentials("ghcr.io", config) is None
        assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
        assert f"{config}: " in caplog.text
        assert message in caplog.text
        assert "hidden" not in caplog.text


class TestCredentials:
    def test_secrets_are_in_no_repr(self) -> None:
        credentials = RegistryCredentials(username="someone", password="hidden", identity_token="hidden")
        assert "hidden" not in repr(credentials)
        assert credentials.basic == "Basic " + auth("someone:hidden")

    @pytest.mark.parametrize("field", ["username", "password", "identity_token"])
    def test_what_cannot_be_sent_is_refused_by_name(self, field: str) -> None:
        with pytest.raises(ImageError, match=f"{field} must be text") as caught:
            RegistryCredentials(**{field: "hidden\ud800"})
        assert "hidden" not in str(caught.value)


HOSTS = st.sampled_from(["ghcr.io", "https://ghcr.io/v1/", "ghcr.io/team", "docker.io", "other.example", ""])
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "\ud800", "a\0b", "\x1b[2J", ENTRY["auth"], "eA==", "../sh", "not-installed"]),
    st.binary(max_size=20).map(auth),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            TEXTS | HOSTS | st.sampled_from(["auth", "username", "password", "identitytoken", "Auth"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=5,
)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "auths": VALUES
        | st.dictionaries(HOSTS, st.fixed_dictionaries({}, optional={"auth": TEXTS, "password": TEXTS})),
        "credHelpers": VALUES | st.dictionaries(HOSTS, TEXTS),
        "credsStore": VALUES,
        "AUTHS": VALUES,
        "other": VALUES,
    },
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Anything that may be in a file: bytes, JSON, and JSON in which some bytes have changed."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.binary(max_size=200))
    raw = bytearray(json.dumps(draw(CONFIGS)).encode())
    if draw(st.booleans()):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(raw)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A configuration file, and an environment that leads to nothing else."""
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "PATH"):
            patch.setenv(name, directory)
        patch.delenv("REGISTRY_AUTH_FILE", raising=False)
        yield Path(directory, "config.json")


class Warnings(logging.Handler):
    """The last warnings; pytest keeps all there ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture(scope="module")
def warnings() -> Iterator[Warnings]:
    logger, handler = logging.getLogger("aioecrpublic.images"), Warnings()
    logger.addHandler(handler)
    logger.propagate = False
    yield handler
    logger.propagate = True
    logger.removeHandler(handler)


@pytest.mark.slow
@settings(
    max_examples=100_000 if SOAK else 1000,
    derandomize=not SOAK,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(raw=files(), host=st.sampled_from(["ghcr.io", "docker.io"]))
@example(raw=b"[" * 5000, host="ghcr.io")
@example(raw=b'{"auths": ' * 5000, host="ghcr.io")
def test_whatever_is_in_the_file_a_pull_goes_on(
    place: Path, warnings: Warnings, raw: bytes, host: str
) -> None:
    warnings.lines.clear()
    place.write_bytes(raw)
    found = find_credentials(host, repository="team/app")
    assert found is None or found.basic.startswith("Basic ")
    assert all(line.isprintable() for line in warnings.lines)
    told = list(warnings.lines)
    try:
        named = find_credentials(host, place, repository="team/app")
        refusal = None
    except ImageError as error:
        named, refusal = None, str(error)
    assert named == found
    if refusal is not None:
        assert refusal.isprintable()
        assert refusal.startswith(f"{place}: ")
        assert [line for line in told if line.endswith(refusal)]
