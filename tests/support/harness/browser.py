"""A real Chromium, and a real server with the status page for it."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from exporter.metrics.exporter import Identity
from exporter.polling.state import State
from exporter.runtime.clock import Clock
from exporter.web.app import App
from exporter.web.server import Server
from exporter.web.status_page import PageOptions
from tests.support.harness import see
from tests.support.harness.serving import serving

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars"
    " --disable-background-networking --disable-component-update --disable-sync"
)

# Every text that is shown, with the contrast of its colour and what is behind it.
_CONTRASTS = """
const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
const rgba = colour => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return Array.from(canvas.getImageData(0, 0, 1, 1).data);
};
const luminance = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const behind = element => {
  for (let e = element; e; e = e.parentElement) {
    const colour = rgba(getComputedStyle(e).backgroundColor);
    if (colour[3] === 255) return colour;
    if (colour[3] !== 0) throw Error('half transparent: ' + e.className);
  }
  throw Error('no background');
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
  const colours = [luminance(rgba(getComputedStyle(element).color)), luminance(behind(element))];
  const ratio = (Math.max(...colours) + 0.05) / (Math.min(...colours) + 0.05);
  found.push([ratio, walker.currentNode.data.trim()]);
}
return found;
"""


class Browser:
    """A Chromium without a window."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        """Know what leads it."""
        self.driver = driver

    def show(self, url: str, *, scheme: str = "light", width: int = 1280) -> None:
        """Open a page; what was asked and said before is forgotten."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._do("Emulation.setEmulatedMedia", features=features)
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self._do("Emulation.setDeviceMetricsOverride", **size)
        self.requests()
        self.complaints()
        self.driver.get(url)

    def ask(self, script: str) -> Any:  # noqa: ANN401 - JSON
        """The value of a script that is not the page's own."""
        return self.driver.execute_script(script)

    def texts(self, selector: str) -> list[str]:
        """What is to be read in some elements, shown or folded."""
        found: list[str] = self.ask(
            f"return [...document.querySelectorAll({json.dumps(selector)})]"
            ".map(e => e.textContent.trim())"
        )
        return found

    def contrasts(self) -> list[tuple[float, str]]:
        """The texts that are shown, with the contrast of each."""
        return [(ratio, text) for ratio, text in self.ask(_CONTRASTS)]

    def requests(self) -> list[str]:
        """The URLs that were asked for since."""
        found = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in found
            if message["method"] == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """What the browser has said on its console since: violations of the policy, too."""
        return [entry["message"] for entry in self._log("browser")]

    def save(self, path: Path) -> None:
        """Keep a picture of what is in the window."""
        self.driver.save_screenshot(str(path))

    def _log(self, kind: str) -> list[Mapping[str, Any]]:
        entries: list[Mapping[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries

    def _do(self, command: str, **parameters: Any) -> None:  # noqa: ANN401 - JSON
        self.driver.execute_cdp_cmd(command, parameters)


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A Chromium with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = see.need("chromium")
    for flag in (*_FLAGS.split(), f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(see.need("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


class Still:
    """A clock that stands still."""

    def __init__(self, time: float, monotonic: float) -> None:
        """Args: what it shows."""
        self._time, self._monotonic = time, monotonic

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._time

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self._monotonic


@contextlib.contextmanager
def served(
    state: Callable[[], State], identity: Identity, clock: Clock, options: PageOptions
) -> Iterator[str]:
    """The exporter's pages of a state, on a real server; gives its URL."""
    with serving(Server(App(state, identity, clock, options), clock)) as port:
        yield f"http://127.0.0.1:{port}/"
