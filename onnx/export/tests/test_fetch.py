"""Archives are opened only with the pinned hash, from whatever index pip is configured for."""

import hashlib
import io
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from starmill_export import fetch

FILE = "toy-1.0-py3-none-any.whl"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_args):
        pass


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index with one wheel, whose bytes it yields."""
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("toy/data.txt", "content")
    root = tmp_path / "index"
    (root / "simple/toy").mkdir(parents=True)
    (root / "files").mkdir()
    (root / "files" / FILE).write_bytes(wheel.getvalue())
    page = f'<a href="../../files/{FILE}#sha256=x">{FILE}</a> <a href="other.whl">other</a>'
    (root / "simple/toy/index.html").write_text(page)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=root))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    yield wheel.getvalue()
    server.shutdown()
    server.server_close()


def test_an_archive_with_the_pinned_hash_is_opened_once(index, tmp_path, monkeypatch):
    archive = fetch.Archive("toy", FILE, hashlib.sha256(index).hexdigest(), 0.1)
    folder = fetch.opened(archive, tmp_path / "cache")
    assert (folder / "toy/data.txt").read_text() == "content"
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/nothing")
    assert fetch.opened(archive, tmp_path / "cache") == folder


@pytest.mark.parametrize(
    ("file", "message"), [(FILE, "sha256"), ("toy-2.0-py3-none-any.whl", "does not list")]
)
def test_anything_else_is_refused_and_leaves_nothing(index, tmp_path, file, message):
    archive = fetch.Archive("toy", file, "0" * 64, 0.1)
    with pytest.raises(RuntimeError, match=message):
        fetch.opened(archive, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
