"""Pictures of a rehearsal: the page of the service while it works, and the reports of nights."""

import threading
from pathlib import Path

from browser import Browser, BrowserError, View, find

BOARD = (
    View("desk-dark", 1280, 750, "dark"),
    View("desk-light", 1280, 750, "light"),
    View("phone-dark", 390, 844, "dark", whole=True),
)
REPORT = (
    View("desk-dark", 1280, 800, "dark", whole=True),
    View("desk-light", 1280, 800, "light", whole=True),
    View("phone-light", 390, 844, "light", whole=True),
)
# The page follows the events and has drawn what they said.
IS_LIVE = "document.getElementById('link').textContent === 'live'"
IS_DRAWN = "document.getElementById('figures').children.length > 0"


class Camera:
    """Takes pictures into a folder; where there is no browser it takes none and says so."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.address = f"http://127.0.0.1:{port}/"
        self.program = find()
        self.going: threading.Thread | None = None
        self.taken: list[str] = []
        self.missed: list[str] = []
        if self.program:
            folder.mkdir()
        else:
            self.missed.append("all: there is no browser; install chromium-headless-shell")

    def photograph_board_meanwhile(self, moment: str) -> None:
        """Begin to take pictures of the page, while the night goes on."""
        self.wait()
        self.going = threading.Thread(target=self.photograph_board, args=(moment,), daemon=True)
        self.going.start()

    def wait(self) -> None:
        """Wait for pictures that are being taken; the browser's patience bounds that."""
        if self.going:
            self.going.join()
            self.going = None

    def photograph_board(self, moment: str) -> None:
        """Take pictures of the page of the service."""
        shots = [(f"{moment}-{view.name}", f"{self.address}#{view.theme}", view) for view in BOARD]
        self.shoot(shots, f"{IS_LIVE} && {IS_DRAWN}")

    def photograph_reports(self, nights: list[Path]) -> None:
        """Take pictures of the report of each night."""
        for number, night in enumerate(nights):
            # One set shows the page; of the others the numbers alone differ.
            views = REPORT if number == 0 else REPORT[:1]
            page = (night / "report.html").as_uri()
            self.shoot([(f"report-{night.name}-{view.name}", page, view) for view in views], "true")

    def shoot(self, shots: list[tuple[str, str, View]], is_ready: str) -> None:
        """Take pictures; what goes wrong is noted, for it says nothing about the night."""
        if not self.program:
            return
        for name, url, view in shots:
            try:
                with Browser(self.program) as browser:
                    page = browser.open(url, view)
                    page.wait_until(is_ready)
                    page.photograph(self.folder / f"{name}.png")
                self.taken.append(f"{name}.png")
            except BrowserError as error:
                self.missed.append(f"{name}: {error}")

    def report(self) -> str:
        """Return what was taken and what was not, in words."""
        lines = [f"pictures: {len(self.taken)} in {self.folder}"] if self.taken else []
        return "\n".join([*lines, *(f"skipped picture, {missed}" for missed in self.missed)])
