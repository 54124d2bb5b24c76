"""Chromium without a window, driven by the DevTools protocol over two pipes. Nothing but Python's own library.

A page is used as a person uses it: by keys, by what is shown, and by the tree that screen readers get. Every wait has an
end and says what it waited for. The browser ends with its `Browser`, by its own pid.
"""

import base64
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time

CHROMIUM = os.environ.get("BUNRAKU_CHROMIUM", "chromium")
SOON_S = 20

KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    " ": (32, " "),
    "ArrowDown": (40, ""),
    "ArrowUp": (38, ""),
}


class Browser:
    def __init__(self):
        if shutil.which(CHROMIUM) is None:
            raise SystemExit(f"{CHROMIUM} is not installed: scripts/test installs it")
        self.profile = tempfile.mkdtemp(prefix="bunraku-chromium-")
        to_read, self.to_write = os.pipe()
        self.from_read, from_write = os.pipe()
        # The browser reads from 3 and writes to 4. The sandbox wants rights that root and containers lack; it shows
        # our own page only.
        arguments = [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
            "--remote-debugging-pipe", f"--user-data-dir={self.profile}", "about:blank",
        ]
        # Through higher numbers, so that neither end overwrites the other.
        shell = f'exec 8<&{to_read} 9>&{from_write}; exec 3<&8 4>&9 8<&- 9>&-; exec "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "chromium", *arguments],
            pass_fds=(to_read, from_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )
        os.close(to_read)
        os.close(from_write)
        self.number = 0
        self.answers = {}
        self.events = queue.Queue()
        self.arrived = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        rest = b""
        while data := os.read(self.from_read, 1 << 20):
            *whole, rest = (rest + data).split(b"\0")
            for text in whole:
                message = json.loads(text)
                with self.arrived:
                    if "id" in message:
                        self.answers[message["id"]] = message
                        self.arrived.notify_all()
                    else:
                        self.events.put(message)

    def call(self, method, session=None, limit_s=60, **params):
        self.number += 1
        number = self.number
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.to_write, json.dumps(message).encode() + b"\0")
        with self.arrived:
            if not self.arrived.wait_for(lambda: number in self.answers, limit_s):
                raise AssertionError(f"the browser does not answer {method}")
            answer = self.answers.pop(number)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def page(self, url, width=420, height=900, before="", **media):
        return Page(self, url, width, height, before, media)

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(10)
        shutil.rmtree(self.profile, ignore_errors=True)


class Page:
    """A tab. `frame` is where the tested page is: the tab itself, or an iframe whose address has `/widget`."""

    def __init__(self, browser, url, width, height, before, media):
        self.browser = browser
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        self.target = browser.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.top = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        self.session = self.top
        self.faults = []
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.call("Log.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        if media:
            features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
            self.call("Emulation.setEmulatedMedia", features=features)
        if before:
            self.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        self.call("Page.navigate", url=url)
        self.wait("the page to load", "document.readyState === 'complete'")

    def call(self, method, **params):
        return self.browser.call(method, session=self.session, **params)

    def run(self, code):
        """What a script of the test gives; it may be a promise."""
        result = self.call("Runtime.evaluate", expression=self._in_frame(code), returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{code}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def _in_frame(self, code):
        return code

    def into_widget(self):
        """Goes on inside the iframe. It is of another site, and so has a session of its own."""
        end = time.monotonic() + SOON_S
        while time.monotonic() < end:
            for target in self.browser.call("Target.getTargets")["targetInfos"]:
                if target["type"] == "iframe" and target.get("browserContextId") == self.context:
                    self.session = self.browser.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
                    self.call("Runtime.enable")
                    self.call("Log.enable")
                    return self
            time.sleep(0.05)
        raise AssertionError("there is no frame of another site in the page")

    def wait(self, what, code, limit_s=SOON_S):
        end = time.monotonic() + limit_s
        while True:
            try:
                found = self.run(code)
            except AssertionError:
                found = None
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"not within {limit_s} s: {what}; the page shows:\n{self.run('document.body.innerText')}")
            time.sleep(0.05)

    def shows(self, text, limit_s=SOON_S):
        return self.wait(f"{text!r} is shown", f"document.body.innerText.includes({json.dumps(text)})", limit_s)

    def text(self):
        return self.run("document.body.innerText")

    # -- keys

    def key(self, name, shift=False):
        code, text = KEYS[name]
        common = {"key": name, "code": "Space" if name == " " else name, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        keyboard = self.session
        # Keys go to the tab, which gives them to whatever has the focus.
        self.browser.call("Input.dispatchKeyEvent", session=self.top, type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.browser.call("Input.dispatchKeyEvent", session=self.top, type="keyUp", **common)
        assert keyboard == self.session

    def type(self, text):
        self.browser.call("Input.insertText", session=self.top, text=text)

    def focus(self):
        """What has the focus, as a screen reader names it."""
        return self.run("""(() => { const e = document.activeElement;
            const label = e.labels?.[0]?.textContent ?? e.getAttribute('aria-label') ?? e.textContent;
            return e === document.body ? 'nothing' : label.trim(); })()""")

    def tab_to(self, label, most=40):
        """Tabs on until something of that name has the focus. What has it is to be seen, with a ring around it."""
        for _ in range(most):
            self.key("Tab")
            if self.focus() == label:
                ring = self.run("""(() => { const e = document.activeElement, s = getComputedStyle(e), b = e.getBoundingClientRect();
                    return [s.outlineStyle, parseFloat(s.outlineWidth), b.width > 0 && b.bottom > 0 && b.top < innerHeight]; })()""")
                assert ring[0] == "solid" and ring[1] >= 2 and ring[2], f"{label}: focus is not to be seen: {ring}"
                return self
        raise AssertionError(f"no Tab leads to {label!r}; the focus is on {self.focus()!r}")

    # -- what others see

    def tree(self):
        """What a screen reader gets: (role, name, properties), without what it leaves out."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        found = []
        for node in nodes:
            if node.get("ignored"):
                continue
            properties = {p["name"]: p["value"].get("value") for p in node.get("properties", [])}
            found.append((node["role"]["value"], node.get("name", {}).get("value", ""), properties))
        return found

    def picture(self, path):
        """The whole page, as an image."""
        size = self.browser.call("Page.getLayoutMetrics", session=self.top)["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = self.browser.call("Page.captureScreenshot", session=self.top, captureBeyondViewport=True, clip=clip)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
