# SPDX-License-Identifier: Apache-2.0
"""The page at / in a real browser, against a served model of random weights: asking, stopping, trying again,
probabilities, schemas, keys, narrow screens; and that nothing that a model writes becomes HTML.

RETORT_PICTURES=DIR keeps pictures of it there."""
import http.client
import json
import os
import subprocess
from pathlib import Path

from browser import Browser
from support import BUILD, Checks, retort, stage

MARKUP = "<img src=x onerror=\"document.title='owned'\"> <script>1</script> & <b>bold</b>"
PICTURES = Path(os.environ["RETORT_PICTURES"]) if "RETORT_PICTURES" in os.environ else None


class Server:
    def __init__(self, model, *flags):
        self.process = subprocess.Popen([BUILD / "retort", "serve", model, "--port", "0", "--template", "llama2", "--name", "tiny", *flags],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = self.process.stdout.readline().split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def get(self, path, host=None):
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        connection.request("GET", path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers

    def metric(self, name):
        return next(float(line.split()[1]) for line in self.get("/metrics")[1].splitlines() if line.startswith(name + " "))


def ask(page, question):
    page.run("document.getElementById('prompt').focus()")
    page.type(question)
    page.press("Enter")


def idle(page):
    return page.wait("!document.querySelector('.busy') && document.getElementById('stop').hidden")


def fill(page, field, value):
    page.run(f"(() => {{ const field = document.getElementById({json.dumps(field)}); field.value = {json.dumps(str(value))};"
             "field.dispatchEvent(new Event('input')); })()")


def last_request(page):
    return [json.loads(sent["request"]["postData"]) for sent in page.events("Network.requestWillBeSent") if sent["request"].get("hasPostData")][-1]


def snap(page, name):
    if PICTURES:
        page.picture(PICTURES / f"{name}.png")


def chats(page, checks):
    checks.that("the model's name comes from the server", page.wait("document.getElementById('model').value === 'tiny'"))
    checks.that("fields tell the server's defaults", page.wait("document.getElementById('temperature').placeholder === '0'"))
    for field, value in (("system", "Be brief."), ("temperature", 0.5), ("max_tokens", 40), ("seed", 7), ("stops", "@@\n##")):
        fill(page, field, value)
    page.run("document.getElementById('prompt').focus()")
    page.type("first")
    page.press("Enter", shift=True)
    page.type("second")
    checks.that("Shift+Enter begins a line", page.run("document.getElementById('prompt').value") == "first\nsecond")
    page.press("Enter")
    checks.that("Enter asks, and the answer ends", idle(page) and page.text(".question") == "first\nsecond", page.text("#talk"))
    sent = last_request(page)
    expected = {"temperature": 0.5, "max_tokens": 40, "seed": 7, "stop": ["@@", "##"], "model": "tiny", "stream": True, "logprobs": True,
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "first\nsecond"}]}
    checks.that("the request has what was set", all(sent[key] == value for key, value in expected.items()), sent)
    stats = page.text("article footer span")
    checks.that("tokens, speed and time to the first are told", all(word in stats for word in ("tokens", "tokens/s", "first after")), stats)

    answer = page.text(".answer")
    page.click(".retry")
    checks.that("trying again gives the seed's answer in its place", idle(page) and page.text(".answer") == answer
                and page.run("document.querySelectorAll('article').length") == 1, page.text("#talk"))
    page.run("[...document.querySelectorAll('footer button')].find((b) => b.textContent === 'Copy').click()")
    checks.that("copying", page.wait("navigator.clipboard.readText().then((text) => text === document.querySelector('.answer').textContent)"))
    ask(page, "third")
    checks.that("a second turn has the first before it", idle(page) and [m["content"] for m in last_request(page)["messages"]]
                == ["Be brief.", "first\nsecond", answer, "third"], last_request(page)["messages"])
    page.click("#clear")
    checks.that("clearing", page.run("document.querySelectorAll('article').length") == 0)


def shows_probabilities(page, checks):
    spans = page.run("document.querySelectorAll('.answer .token').length")
    page.point(".answer .token")
    rows = page.run("[...document.querySelectorAll('#tip:not([hidden]) tr')].map((row) => [...row.cells].map((cell) => cell.textContent))")
    checks.that("a token that is pointed at tells the likeliest ones", spans > 10 and len(rows) >= 5 and all("%" in row[1] for row in rows), rows)
    checks.that("one of them is the one taken", page.run("document.querySelectorAll('#tip .taken').length") == 1)


def holds_to_a_schema(page, checks):
    fill(page, "schema", "{not json")
    checks.that("a schema that is not JSON is told while it is typed", "not JSON" in page.text("#schema-fault"))
    fill(page, "schema", json.dumps({"const": MARKUP}))
    fill(page, "max_tokens", "")
    ask(page, "markup")
    checks.that("the answer is the schema's, as text", idle(page) and page.text(".answer") == json.dumps(MARKUP), page.text("#talk"))
    checks.that("nothing of it is HTML", page.run("document.querySelectorAll('.answer :not(span)').length") == 0)
    shows_probabilities(page, checks)
    fill(page, "schema", json.dumps({"type": "strin"}))
    ask(page, MARKUP)
    checks.that("the server's word about a schema is told", idle(page) and "type" in (page.text("article:last-of-type .fault") or ""), page.text("#talk"))
    checks.that("a question is text too", page.run("document.querySelectorAll('.question *').length") == 0)
    fill(page, "schema", "")
    page.click("#clear")
    checks.that("no script of the model's ran", "owned" not in page.run("document.title"))


def stops(page, server, checks):
    fill(page, "schema", json.dumps({"type": "string", "minLength": 60000}))
    fill(page, "max_tokens", 90000)
    ask(page, "go on")
    checks.that("text comes while the answer is made", page.wait("document.querySelector('.busy .answer .token') !== null"))
    checks.that("the server's figures move", page.wait("document.getElementById('running').textContent === '1' && parseFloat(document.getElementById('rate').textContent) > 0"))
    snap(page, "running")
    page.press("Escape")
    checks.that("Esc stops it", idle(page) and "stopped" in page.text("footer span"), page.text("footer"))
    checks.that("what was said stays", len(page.text(".answer")) > 0)
    checks.that("the server has stopped too", page.wait("document.getElementById('running').textContent === '0'") and server.metric("retort_requests_running") == 0)
    page.click("#clear")


def looks(browser, server, checks):
    for name, size in (("light", {}), ("dark", {"dark": True}), ("narrow", {"width": 400, "height": 720}), ("narrow-dark", {"width": 400, "height": 720, "dark": True})):
        page = browser.page(server.url + "/", **size)
        fill(page, "max_tokens", 60)
        ask(page, "Tell me something.")
        idle(page)
        page.point(".answer .token")
        snap(page, name)
        width = size.get("width", 1100)
        checks.that(f"{name}: nothing is cut off at the side", page.run("document.documentElement.scrollWidth") <= width)
        if width == 400:
            checks.that(f"{name}: settings open over the talk", page.run("getComputedStyle(document.getElementById('settings')).display") == "none")
            page.click("#settings-button")
            checks.that(f"{name}: and close with Esc", page.run("document.getElementById('settings').offsetWidth") == 400)
            snap(page, name + "-settings")
            page.press("Escape")
            checks.that(f"{name}: to the talk", page.run("getComputedStyle(document.getElementById('settings')).display") == "none")


def stays_home(page, server, checks):
    urls = {sent["request"]["url"] for sent in page.events("Network.requestWillBeSent")}
    checks.that("the page asks its own server alone", all(url.startswith((server.url, "data:")) for url in urls), urls)
    faults = [entry["entry"] for entry in page.events("Log.entryAdded") if "status of 4" not in entry["entry"]["text"]]
    checks.that("the browser has nothing to complain of", not faults and not page.events("Runtime.exceptionThrown"), faults)
    owned = page.run("(() => { try { document.body.innerHTML = '<b>x</b>'; return true; } catch { return false; } })()")
    checks.that("the page's policy forbids making HTML of text", not owned)


def asks_for_a_key(browser, model, checks):
    with Server(model, "--api-key", "open sesame") as server:
        page = browser.page(server.url + "/")
        checks.that("a key is asked for", page.wait("document.getElementById('key-dialog').open"))
        checks.that("the model is not told before", page.run("document.getElementById('model').options.length") == 0)
        snap(page, "key")
        for presses in ("one", "two", "three"):
            page.press("Escape")
            checks.that(f"{presses} times Esc: it is still asked for", page.wait("document.getElementById('key-dialog').open"))
        page.type("schlüssel→")
        page.press("Enter")
        checks.that("a key that no header can have is not kept", page.wait("document.getElementById('key-why').textContent.includes('ASCII')")
                    and page.run("sessionStorage.length") == 0)
        fill(page, "key", "")
        page.type("wrong")
        page.press("Enter")
        checks.that("a wrong key is told", page.wait("document.getElementById('key-why').textContent.includes('does not know')"))
        page.type(" open sesame ")
        page.press("Enter")
        checks.that("the right one opens", page.wait("document.getElementById('model').value === 'tiny'") and not page.run("document.getElementById('key-dialog').open"))
        fill(page, "max_tokens", 5)
        ask(page, "hello")
        checks.that("and answers come", idle(page) and "5 tokens" in page.text("footer span"), page.text("#talk"))
        checks.that("it is kept for the tab alone", page.run("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""])


def main():
    place, checks = stage(), Checks()
    model = place / "model"
    retort("init", "--shape", "2,256,4,2,640,320", "--positions", "100000", "--out", model, "--seed", "3")
    with Browser() as browser:
        with Server(model) as server:
            status, _, headers = server.get("/?page")
            checks.that("the page has a policy", status == 200 and "default-src 'none'" in headers["Content-Security-Policy"], headers)
            checks.that("other hosts do not get it", server.get("/", host="evil.example")[0] == 403)
            page = browser.page(server.url + "/")
            chats(page, checks)
            holds_to_a_schema(page, checks)
            stops(page, server, checks)
            stays_home(page, server, checks)
            looks(browser, server, checks)
        asks_for_a_key(browser, model, checks)
    with Server(model, "--no-page") as server:
        checks.that("--no-page", server.get("/")[0] == 404 and server.get("/v1/models")[0] == 200)
    checks.finish()


if __name__ == "__main__":
    main()
