"""Drive a headless Chromium over its debugging pipe: open a page, ask it, take its picture.

Commands and answers are those of the Chrome DevTools Protocol, a JSON object each, ended by a zero
byte. The pipe needs neither a port nor a client of WebSockets.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# An answer that takes longer never comes.
PATIENCE_SECONDS = 30.0
# A picture of a whole page ends here, so that a long table does not fill the memory.
TALLEST = 6000


class BrowserError(Exception):
    """The browser did not do what it was told."""


class CommandError(BrowserError):
    """The browser refused a command."""


@dataclass(frozen=True)
class View:
    """A screen: its size in pixels, whether it is dark, and whether it shows the whole page."""

    name: str
    width: int
    height: int
    theme: str
    whole: bool = False


def find() -> str | None:
    """Return the first browser that is installed."""
    return next((path for path in map(shutil.which, PROGRAMS) if path), None)


class Browser:
    """A browser that lives as long as the `with` statement."""

    def __init__(self, program: str) -> None:
        self.profile = tempfile.TemporaryDirectory(prefix="starmill-browser-")
        # It opens pages of this program alone, and its sandbox does not start as root.
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += ["--remote-debugging-pipe", f"--user-data-dir={self.profile.name}"]
        # The browser reads commands from 3 and writes answers to 4.
        moved = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null'
        self.process = subprocess.Popen(
            ["sh", "-c", moved, "browser", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.input, self.output = self.process.stdout.fileno(), self.process.stdin.fileno()
        self.number = 0
        self.pending = b""

    def __enter__(self) -> Self:
        """Return the browser itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the browser."""
        # It ends when nobody can tell it anything any more.
        self.process.stdin.close()
        try:
            self.process.wait(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.profile.cleanup()

    def call(self, method: str, session: str | None = None, **parameters: object) -> dict:
        """Give a command and return its result."""
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        message = json.dumps(command).encode() + b"\0"
        try:
            while message:
                message = message[os.write(self.output, message) :]
        except BrokenPipeError as error:
            raise BrowserError("the browser has ended") from error
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (answer := self.receive(deadline)).get("id") != self.number:
            pass
        if "error" in answer:
            raise CommandError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def receive(self, deadline: float) -> dict:
        """Return the next answer or event."""
        while b"\0" not in self.pending:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.input], [], [], left)[0]:
                raise BrowserError(f"the browser said nothing for {PATIENCE_SECONDS:.0f} s")
            more = os.read(self.input, 1 << 16)
            if not more:
                raise BrowserError("the browser has ended")
            self.pending += more
        message, _, self.pending = self.pending.partition(b"\0")
        return json.loads(message)

    def open(self, url: str, view: View) -> "Page":
        """Open a page on a screen and wait until it is loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, target, attached["sessionId"], view)
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=view.width,
            height=view.height,
            deviceScaleFactor=1,
            mobile=view.width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": view.theme}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.call("Page.navigate", url=url)
        page.wait_until("location.href !== 'about:blank' && document.readyState === 'complete'")
        return page


@dataclass(frozen=True)
class Page:
    """A page that is open."""

    browser: Browser
    target: str
    session: str
    view: View

    def call(self, method: str, **parameters: object) -> dict:
        """Give the page a command and return its result."""
        return self.browser.call(method, self.session, **parameters)

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401  what a script gives is anything
        """Return the value of a script's expression; between two documents there is none."""
        try:
            answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        except CommandError:
            return None
        return answer["result"].get("value")

    def wait_until(self, expression: str) -> None:
        """Wait until a script's expression is true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.evaluate(expression):
            if time.monotonic() > deadline:
                raise BrowserError(f"not within {PATIENCE_SECONDS:.0f} s: {expression}")
            time.sleep(0.1)

    def photograph(self, path: Path) -> None:
        """Write a picture of what the screen shows, or of the whole page."""
        more: dict[str, object] = {}
        if self.view.whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            height = min(size["height"], TALLEST)
            clip = {"x": 0, "y": 0, "width": self.view.width, "height": height, "scale": 1}
            more = {"captureBeyondViewport": True, "clip": clip}
        picture = self.call("Page.captureScreenshot", format="png", **more)
        path.write_bytes(base64.b64decode(picture["data"]))

    def close(self) -> None:
        """Close the page."""
        self.browser.call("Target.closeTarget", targetId=self.target)
