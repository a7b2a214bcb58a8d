# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium that is driven over a pipe by the DevTools protocol, with pages as people use them: keys, pointer,
pictures."""
import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time

from support import skip

KEYS = {"Enter": 13, "Escape": 27}


class Browser:
    def __init__(self):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if not program:
            skip("needs chromium")
        self.profile = tempfile.TemporaryDirectory(prefix="retort-browser-", ignore_cleanup_errors=True)
        commands, self.commands = os.pipe()
        self.messages, messages = os.pipe()
        # The browser has its pipes as 3 and 4, which must not be among those that are duplicated.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 100) for end in (commands, messages)]
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
             f"--user-data-dir={self.profile.name}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            preexec_fn=lambda: [os.dup2(end, number) for end, number in zip(ends, (3, 4))])
        for end in (commands, messages, *ends):
            os.close(end)
        self.last, self.rest, self.events = 0, b"", []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.profile.cleanup()

    def receive(self):
        while b"\0" not in self.rest:
            more = os.read(self.messages, 1 << 20)
            if not more:
                raise RuntimeError("the browser has ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def page(self, url, **size):
        return Page(self, url, **size)


class Page:
    """A tab of its own context: nothing is stored in it beforehand."""

    def __init__(self, browser, url, width=1100, height=720, dark=False):
        self.browser, self.seen = browser, len(browser.events)
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.call("Browser.grantPermissions", permissions=["clipboardReadWrite"], browserContextId=context)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.look(width, height, dark)
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def call(self, method, **parameters):
        return self.browser.call(method, session=self.session, **parameters)

    def look(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def run(self, script):
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}"[:500])
        return result["result"].get("value")

    def wait(self, condition, seconds=60):
        """Whether it comes to hold."""
        end = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def type(self, text):
        self.call("Input.insertText", text=text)

    def press(self, key, shift=False):
        parameters = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key], "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", text="\r" if key == "Enter" else "", **parameters)
        self.call("Input.dispatchKeyEvent", type="keyUp", **parameters)

    def point(self, selector, press=False):
        """Moves the pointer to the middle of the element, and clicks there."""
        box = self.run(f"(() => {{ const box = document.querySelector({json.dumps(selector)}).getClientRects()[0];"
                       "return [box.x + box.width / 2, box.y + box.height / 2]; })()")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased") if press else ("mouseMoved",):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], clickCount=1,
                      button="none" if kind == "mouseMoved" else "left")

    def click(self, selector):
        self.point(selector, press=True)

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)})?.textContent")

    def picture(self, path):
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def events(self, method):
        """What the page has reported, such as its requests."""
        self.run("0")
        return [event["params"] for event in self.browser.events[self.seen:]
                if event.get("sessionId") == self.session and event["method"] == method]
