"""The parts every test of the App shares: keys, Prism, PostgreSQL, one fake GitHub a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from github_fake import FakeGitHub
from github_parts import Postgres, prism
from github_world import SECRET, World


@pytest.fixture(scope="session")
def keys() -> tuple[str, str]:
    """A private and a public key of the App (PEM)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


@pytest.fixture(scope="session")
def prism_url() -> Iterator[str]:
    """GitHub's own description of its API, ready to judge requests."""
    with prism() as url:
        yield url


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of our own."""
    server = Postgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.database(f"t{abs(hash(request.node.nodeid)) % 10**12}")


@pytest.fixture
def github(tmp_path: Path, prism_url: str, keys: tuple[str, str]) -> Iterator[FakeGitHub]:
    """A GitHub with nothing on it. Any request its own description forbids fails the test."""
    fake = FakeGitHub(tmp_path / "hosted", prism_url, keys[1], SECRET)
    yield fake
    fake.close()
    assert fake.state.violations == []


@pytest.fixture
def world(github: FakeGitHub, tmp_path: Path, keys: tuple[str, str]) -> Iterator[World]:
    """An App before that GitHub, on SQLite, whose jobs the test runs itself."""
    made = World(github, tmp_path / "data", keys[0])
    yield made
    made.close()
