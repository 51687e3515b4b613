"""A headless Chromium, told what to do over its debugging pipe (Chrome DevTools Protocol), without a port."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["CONTRASTS", "Browser", "Json", "browser", "executable"]

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_PATIENCE = 60.0
"""Seconds for one answer."""
CONTRASTS = """
(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => rgb(color).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (rgb(color)[3] === 255) return color;
    }
    return "white";
  };
  const ratio = (one, two) => {
    const [low, high] = [luminance(one), luminance(two)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const texts = [...document.querySelectorAll("body *")].filter((each) => each.checkVisibility()
    && !each.closest("svg") && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  const found = texts.map((each) => [ratio(getComputedStyle(each).color, behind(each)), each.className || each.tagName]);
  const drawn = [...document.querySelectorAll(".ladder text")].map((each) =>
    [ratio(getComputedStyle(each).fill, behind(document.querySelector("figure"))), "ladder text"]);
  return [...found, ...drawn].sort((a, b) => a[0] - b[0]);
})()
"""
"""WCAG 2.2 contrast ratio of every visible text with what is behind it, worst first."""


def executable() -> str | None:
    """Where it is installed."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class Browser:
    """One tab."""

    def __init__(self, read: int, write: int) -> None:
        self._read = read
        self._write = write
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[tuple[str, dict[str, Json]]] = []

    def attach(self) -> None:
        """To a new, empty tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        assert isinstance(session, str)
        self._session = session
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Json) -> dict[str, Json]:
        """One command and its answer; events that come before it are kept."""
        self._number += 1
        number = self._number
        message: dict[str, Json] = {"id": number, "method": method, "params": dict(params)}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                result = answer["result"]
                assert isinstance(result, dict)
                return result
            self._keep(answer)

    def wait(self, event: str) -> None:
        """Until an event comes that has not come since the last wait for it."""
        while event not in (name for name, _ in self.events):
            self._keep(self._message())
        self.events = [(name, params) for name, params in self.events if name != event]

    def open(self, path: Path, fragment: str = "") -> None:
        """A file, until it is loaded; anew when it is open already."""
        if fragment:  # within one document it would only be a jump
            self.open(Path(os.devnull))
        self.call("Page.navigate", url=path.absolute().as_uri() + fragment)
        self.wait("Page.loadEventFired")

    def value(self, expression: str) -> Json:
        """What a JavaScript expression gives, promises awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        result = answer["result"]
        assert isinstance(result, dict)
        return result.get("value")

    def look(self, *, width: int, height: int, dark: bool = False, media: str = "screen") -> None:
        """Take a size in CSS pixels, a colour scheme and a medium."""
        mobile = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        scheme: dict[str, Json] = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """A PNG of what is in view, or of the whole page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        assert isinstance(data, str)
        path.write_bytes(base64.b64decode(data))

    def _keep(self, message: dict[str, Json]) -> None:
        method, params = message.get("method"), message.get("params")
        if isinstance(method, str) and isinstance(params, dict):
            self.events.append((method, params))

    def _message(self) -> dict[str, Json]:
        deadline = time.monotonic() + _PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._read, 1 << 20)
            assert piece, "the browser went away"
            self._buffer += piece
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        assert isinstance(message, dict)
        return message


def _pipe() -> tuple[int, int]:
    """Far from the descriptors 3 and 4, which the shell is about to set."""
    ends = os.pipe()
    far = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return far[0], far[1]


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """A tab in a browser of its own, with an empty profile; both are gone afterwards."""
    to_read, to_write = _pipe()
    from_read, from_write = _pipe()
    with TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        # It reads commands from descriptor 3 and writes to 4; a shell puts ours there.
        script = f'exec "$@" 3<&{to_read} 4>&{from_write} {to_read}<&- {from_write}>&-'
        arguments = ["bash", "-c", script, "bash", program, *_SWITCHES, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            arguments,
            pass_fds=(to_read, from_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": profile, "LANG": "C.UTF-8"},
        )
        os.close(to_read)
        os.close(from_write)
        try:
            tab = Browser(from_read, to_write)
            tab.attach()
            yield tab
        finally:
            os.close(to_write)  # the browser ends when its pipe does
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(from_read)
