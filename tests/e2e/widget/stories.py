"""The setup widget in a real browser: each story is one promise of docs/WIDGET.md.

    python3 stories.py --files http://127.0.0.1:PORT --axe axe.min.js [--pictures DIR] [STORY...]

`--files` is where the program's own router serves the page. Ends with 0 where all stories hold.
"""

import argparse
import json
import pathlib
import sys
import time
import traceback
import urllib.parse

from browser import Browser
from model import Model

ROOM = "!abc:lab.test"
FAST = "const real = window.setTimeout; window.setTimeout = (work, ms, ...rest) => real(work, (ms ?? 0) / 1000, ...rest);"
STATUS = "[...document.querySelectorAll('[role=status]')].map((e) => e.textContent).filter(Boolean)"
HOSTILE = [
    "<img src=x onerror=window.hacked=1>",
    "\u202egnorw yaw eht\u2066 #\u05e9\u05dc\u05d5\u05dd",
    "#" + "w" * 499,
    "</li><script>window.hacked=1</script>",
]


class Stage:
    """A model of the bridge, a browser, and the pages of one story."""

    def __init__(self, browser, arguments):
        self.browser, self.arguments = browser, arguments
        self.model = Model(arguments.files)
        self.pages = []
        # Words of complaints that the story is about.
        self.expected = ()

    def in_client(self, answer="allowed", **view):
        """The page as a widget of the model's Matrix client; the client is another site."""
        address = {"roomId": ROOM, "widgetId": "w1", "userId": "@ada:lab.test", "theme": "$org.matrix.msc2873.client_theme"}
        source = f"{self.model.url}/widget?{urllib.parse.urlencode(address)}"
        host = {"src": source, "widgetOrigin": self.model.url, "answer": answer}
        page = self.open(f"{self.model.client}/host?{urllib.parse.urlencode(host)}", **view)
        return page.into_widget()

    def handed(self, **view):
        """The page alone, with a session from an integration manager."""
        return self.open(f"{self.model.url}/widget#token=handed-over&roomId={ROOM}", **view)

    def open(self, url, **view):
        page = self.browser.page(url, **view)
        self.pages.append(page)
        return page

    def picture(self, page, name):
        if self.arguments.pictures:
            page.picture(pathlib.Path(self.arguments.pictures) / f"{name}.png")

    def axe(self, page, where):
        """No finding of axe-core, whose rules for contrast are among those asked for."""
        page.run(self.arguments.axe.read_text() + ";0")
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        options = json.dumps({"runOnly": tags, "resultTypes": ["violations"]})
        found = page.run(f"axe.run(document, {options}).then((r) => ({{passes: r.passes.length, bad: r.violations.map((v) => [v.id, v.nodes.map((n) => [n.html, n.failureSummary])])}}))")
        assert not found["bad"], f"{where}: {json.dumps(found['bad'], indent=1)}"
        assert found["passes"] > 15, f"{where}: axe looked at hardly anything: {found}"

    def end(self):
        for page in self.pages:
            page.close()
        self.model.end()
        faults = []
        while not self.browser.events.empty():
            event = self.browser.events.get()
            if event["method"] == "Runtime.exceptionThrown":
                faults.append(event["params"]["exceptionDetails"])
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["source"] in ("security", "violation", "javascript"):
                words = event["params"]["entry"]["text"]
                faults += [words] if not any(known in words for known in self.expected) else []
        assert not faults, f"the browser complains: {faults}"


def nothing_sticks_out(page):
    wide = page.run("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide[0] <= wide[1], f"the page is {wide[0]} wide where there is room for {wide[1]}"


# -- the stories


def the_keyboard_alone_links_a_room(stage):
    page = stage.in_client()
    page.shows("This room is not linked with any channel yet.")
    page.shows("You are @ada:lab.test")
    page.shows("The bridge's bot has to be in the room: @ircbot:lab.test.")
    page.tab_to("Network").key("ArrowDown")
    page.tab_to("Channel").type("fedora")
    page.tab_to("Show its operators").key("Enter")
    page.shows("2 operators are there.")
    assert page.focus() == "Show its operators", "the focus stays where it was"
    for _ in range(3):
        page.key("Tab", shift=True)
    assert page.focus() == "alice", page.focus()
    page.key(" ")
    pressed = [p for _, name, p in page.tree() if name.endswith("alice") and "pressed" in p]
    assert pressed and pressed[0]["pressed"] == "true", pressed
    page.tab_to("Ask to link it").key("Enter")
    page.shows("alice is asked.")
    page.shows("waiting for its operators, since")
    (put,) = stage.model.asked("PUT", "/links/")
    assert put["path"].endswith("rooms/!abc%3Alab.test/links/oftc/%23fedora") and put["body"] == {"operator": "alice"}, put

    stage.model.agree()
    page.shows("#fedora is linked. What is said in one place is heard in the other.")
    assert page.focus() == "Ask to link it", "an answer that comes takes nobody's focus"

    page.run("document.getElementById('links-title').focus()")
    page.tab_to("Unlink #fedora on OFTC").key("Enter")
    assert page.focus() == "Keep it", "a slip of the key unlinks nothing"
    page.key("Escape")
    assert page.focus() == "Unlink #fedora on OFTC" and not stage.model.asked("DELETE", "/links/")
    page.key("Enter")
    page.key("Tab", shift=True)
    assert page.focus() == "Yes, unlink"
    page.key("Enter")
    page.shows("#fedora is not linked any more.")
    assert page.focus() == "Linked channels", "the focus does not fall out of the page"
    assert stage.model.links == []


def a_reload_finds_what_is_awaited(stage):
    stage.model.links = [{"network": "libera", "channel": "#rust", "state": "asked", "since_ms": 1_780_000_000_000}]
    page = stage.in_client()
    page.shows("waiting for its operators")
    stage.model.agree()
    page.shows("#rust is linked.")
    assert page.run("document.querySelector('#links .state').textContent") == "linked"


def a_refusal_has_its_reason(stage):
    stage.model.answer = (403, "BUNRAKU_NO_POWER", "You need the level 50 in the room for that. Ask a moderator <b>there</b>.")
    page = stage.in_client()
    page.tab_to("Channel").type("#secret")
    page.key("Enter")
    page.shows("You need the level 50 in the room for that. Ask a moderator <b>there</b>.")
    live = page.run("(() => { const e = document.getElementById('ask-news'); return [e.getAttribute('role'), e.className]; })()")
    assert live == ["status", "news bad"], live

    # Slips are told at the field, and nothing is asked.
    asked = len(stage.model.requests)
    page.run("document.getElementById('channel').value = 'two words'")
    page.tab_to("Ask to link it").key("Enter")
    page.shows("A channel's name has no spaces and no commas.")
    assert page.focus() == "Channel"
    (field,) = [p for role, name, p in page.tree() if role == "textbox" and name == "Channel"]
    assert field["invalid"] == "true", field
    assert len(stage.model.requests) == asked

    # Operators who say no later: the question is gone.
    stage.model.answer = "asked"
    page.run("document.getElementById('channel').value = '#rust'")
    page.tab_to("Ask to link it").key("Enter")
    page.shows("alice, bob are asked.")
    stage.model.links = []
    page.shows("The question about #rust is over, and it is not linked")


def a_key_goes_in_no_address(stage):
    page = stage.in_client()
    page.tab_to("Channel").type("#locked")
    page.tab_to("Channel key, or a certain operator").key("Enter")
    page.tab_to("Channel key").type("s3cret")
    page.tab_to("Show its operators").key("Enter")
    page.shows("2 operators are there.")
    (look,) = stage.model.asked("GET", "/channels/")
    assert look["key"] == "s3cret", look
    page.tab_to("Ask to link it").key("Enter")
    page.shows("are asked.")
    (put,) = stage.model.asked("PUT", "/links/")
    assert put["body"] == {"key": "s3cret"} and not [r for r in stage.model.requests if "s3cret" in r["path"]]
    assert page.run("document.getElementById('key').value") == ""


def a_session_that_is_over_is_renewed(stage):
    page = stage.in_client()
    page.shows("This room is not linked")
    stage.model.sessions.clear()
    page.tab_to("Look again").key("Enter")
    page.shows("No channels here.")
    assert stage.model.given == 2, "the client vouched once more"

    # The client says no this time.
    stage.model.sessions.clear()
    page.browser.call("Runtime.evaluate", session=page.top, expression="window.answer = 'blocked'")
    page.tab_to("Channel").type("#rust")
    page.key("Enter")
    page.shows("Your client does not tell this page who you are")

    # A session that was handed over cannot be renewed from here.
    stage.model.sessions.add("handed-over")
    alone = stage.handed()
    alone.shows("This room is not linked with any channel yet.")
    stage.model.sessions.clear()
    alone.tab_to("Look again").key("Enter")
    alone.shows("Your session is over. Open this page again from where you came.")


def the_client_asks_its_person(stage):
    page = stage.in_client(answer="ask")
    page.shows("Your client asks you whether this page may know who you are.")
    host = lambda code: page.browser.call("Runtime.evaluate", session=page.top, expression=code, returnByValue=True)["result"].get("value")
    host("says(false)")
    page.shows("Your client does not tell this page who you are")
    host("says = null")
    page.tab_to("Try again").key("Enter")
    page.wait("another question", "true")
    end = time.monotonic() + 10
    while host("says === null") and time.monotonic() < end:
        time.sleep(0.05)
    host("says(true)")
    page.shows("This room is not linked with any channel yet.")

    log = host("JSON.parse(JSON.stringify(log))")
    answers = {m["action"]: m["response"] for m in log if m["api"] == "toWidget"}
    assert answers["capabilities"] == {"capabilities": []}, "nothing is wanted of the room"
    assert "0.0.2" in answers["supported_api_versions"]["supported_versions"]
    assert answers["openid_credentials"] == {}
    assert all(m["widgetId"] == "w1" and m["origin"] == stage.model.url for m in log), log

    # Orders of the client are heard; those of another window, or for another widget, are not.
    host("ask('theme_change', { name: 'dark' })")
    page.wait("the dark theme", "document.documentElement.dataset.theme === 'dark'")
    page.run("window.postMessage({ api: 'toWidget', requestId: 'x', widgetId: 'w1', action: 'theme_change', data: { name: 'light' } }, '*')")
    host("document.getElementById('widget').contentWindow.postMessage({ api: 'toWidget', requestId: 'y', widgetId: 'w2', action: 'theme_change', data: { name: 'light' } }, '*')")
    for nonsense in ("null", "1", "'text'", "{ api: 'toWidget' }", "{ api: 'fromWidget', response: {} }", "{ api: 'toWidget', requestId: 1, action: {}, widgetId: 'w1' }"):
        host(f"document.getElementById('widget').contentWindow.postMessage({nonsense}, '*')")
    host("ask('never_heard_of', {})")
    end = time.monotonic() + 10
    while not host("log.some((m) => m.action === 'never_heard_of')") and time.monotonic() < end:
        time.sleep(0.05)
    (unknown,) = [m for m in host("JSON.parse(JSON.stringify(log))") if m["action"] == "never_heard_of"]
    assert "error" in unknown["response"], unknown
    assert page.run("document.documentElement.dataset.theme") == "dark"


def hostile_names_are_text(stage):
    stage.model.networks[0]["name"] = HOSTILE[0]
    stage.model.networks.append({**stage.model.networks[0], "id": "wide", "name": "N" * 500})
    stage.model.user = f"@{HOSTILE[0]}:lab.test"
    stage.model.links = [
        {"network": "libera" if at % 2 else "wide", "channel": channel, "state": "linked" if at % 2 else "asked"}
        for at, channel in enumerate(HOSTILE)
    ]
    stage.model.operators = [*HOSTILE, *(f"op{n}" for n in range(60))]
    page = stage.handed(width=320, height=900)
    page.shows(HOSTILE[0])
    page.tab_to("Channel").type("#x<img/src/onerror=window.hacked=1>")
    page.tab_to("Show its operators").key("Enter")
    page.shows("64 operators are there.")
    page.shows("and 34 more")
    page.tab_to("Ask to link it").key("Enter")
    page.shows("are asked.")
    assert page.run("window.hacked") is None
    assert page.run("document.querySelectorAll('img, script').length") == 2, "the icon and the page's own script"
    nothing_sticks_out(page)
    isolated = page.run("[...document.querySelectorAll('#links .name')].every((e) => e.firstElementChild.tagName === 'BDI')")
    assert isolated, "no name turns the words around it"
    assert not set(page.text()) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"), "nor what is left open in it"
    stage.axe(page, "hostile names")
    stage.picture(page, "hostile-320")


def a_screen_reader_gets_all(stage):
    stage.model.links = [
        {"network": "libera", "channel": "#rust", "state": "linked", "by": "@ada:lab.test"},
        {"network": "oftc", "channel": "#debian", "state": "asked", "since_ms": 1_780_000_000_000},
    ]
    page = stage.handed()
    page.shows("waiting for its operators")
    page.run("document.getElementById('more').open = true")
    page.tab_to("Channel").type("#fedora")
    page.tab_to("Show its operators").key("Enter")
    page.shows("2 operators are there.")
    tree = page.tree()
    controls = [(role, name) for role, name, _ in tree if role in ("button", "textbox", "combobox", "DisclosureTriangle", "link", "option")]
    nameless = [c for c in controls if not c[1].strip()]
    assert not nameless, nameless
    names = [name for _, name in controls]
    for wanted in ("Network", "Channel", "Channel key", "Operator to ask", "alice", "Ask to link it", "Unlink #rust on Libera Chat", "Withdraw #debian on OFTC"):
        assert wanted in names, f"{wanted} is not among {names}"
    live = [p for role, _, p in tree if role == "status"]
    assert live and all(p.get("live") == "polite" for p in live), live
    levels = [(p.get("level"), name) for role, name, p in tree if role == "heading"]
    assert [level for level, _ in levels] == [1, 2, 2, 3], levels
    assert page.run("document.documentElement.lang") == "en"
    # What is told is in a live region that was there, in the tree, before.
    assert any("2 operators are there" in text for text in page.run(STATUS))


def it_is_seen_in_light_and_dark_small_and_wide(stage):
    stage.model.links = [
        {"network": "libera", "channel": "#rust", "state": "linked"},
        {"network": "oftc", "channel": "#debian-devel", "state": "asked", "since_ms": int(time.time() * 1000) - 200_000},
    ]
    for scheme in ("light", "dark"):
        for width in (320, 420, 1280):
            page = stage.handed(width=width, height=800, prefers_color_scheme=scheme)
            page.shows("waiting for its operators")
            page.run("document.getElementById('more').open = true")
            page.tab_to("Channel").type("fedora")
            page.tab_to("Show its operators").key("Enter")
            page.shows("2 operators are there.")
            page.run("document.querySelector('.chips button').click()")
            # A colour on its way is no colour to measure.
            page.wait("all to stand still", "document.getAnimations().every((a) => a instanceof CSSAnimation)")
            nothing_sticks_out(page)
            small = page.run("[...document.querySelectorAll('button, input, select, summary')].filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 24).map((e) => e.outerHTML)")
            assert not small, f"too small to be hit: {small}"
            stage.axe(page, f"{scheme}, {width} wide")
            stage.picture(page, f"{scheme}-{width}")
            page.run("document.getElementById('channel').value = ''; document.getElementById('ask').click(); document.querySelector('#links button').click()")
            page.shows("Which channel is it?")
            page.wait("all to stand still", "document.getAnimations().every((a) => a instanceof CSSAnimation)")
            stage.axe(page, f"{scheme}, {width} wide, with a fault")
            page.close()
            stage.pages.remove(page)
    ground = lambda page: page.run("getComputedStyle(document.body).backgroundColor")
    light, dark = (stage.handed(prefers_color_scheme=scheme) for scheme in ("light", "dark"))
    assert ground(light) != ground(dark)


def who_wants_no_motion_gets_none(stage):
    stage.model.links = [{"network": "oftc", "channel": "#debian", "state": "asked"}]
    moving = stage.handed()
    moving.shows("waiting for its operators")
    assert moving.run("document.getAnimations().length") > 0, "otherwise this story shows nothing"
    still = stage.handed(prefers_reduced_motion="reduce")
    still.shows("waiting for its operators")
    assert still.run("document.getAnimations().length") == 0


def waiting_has_an_end(stage):
    stage.model.links = [{"network": "oftc", "channel": "#debian", "state": "asked"}]
    page = stage.handed(before=FAST)
    page.shows("No answer for half an hour, so this page has stopped looking.")
    looks = len(stage.model.asked("GET", "/links"))
    assert 20 < looks < 60, f"half an hour, ever more slowly: {looks} looks"
    time.sleep(0.5)
    assert len(stage.model.asked("GET", "/links")) == looks, "it has stopped"


def alone_it_tells_the_way(stage):
    page = stage.open(f"{stage.model.url}/widget")
    page.shows("This page works inside a room")
    message = page.run("document.getElementById('addwidget').value")
    assert message.startswith(f"/addwidget {stage.model.url}/widget?roomId=$matrix_room_id&widgetId=$matrix_widget_id&"), message
    page.tab_to("Copy the message").key("Enter")
    page.wait("a word on the copy", "document.getElementById('copy-news').textContent")
    assert stage.model.requests == [], "nobody is asked for anything"
    stage.axe(page, "alone")
    stage.picture(page, "alone")

    # A session behind the # is used, and gone from the address.
    handed = stage.open(f"{stage.model.url}/widget#token=handed-over")
    handed.shows("Which room?")
    assert handed.run("location.href") == f"{stage.model.url}/widget"
    assert handed.run("history.length") <= 2
    handed.tab_to("Room id").type("#not-an-id:lab.test")
    handed.key("Enter")
    handed.shows("A room id begins with ! and has no spaces.")
    handed.run("document.getElementById('room').value = ''")
    handed.tab_to("Go on").key("Tab", shift=True)
    handed.type(ROOM)
    stage.axe(handed, "which room")
    handed.key("Enter")
    handed.shows("This room is not linked with any channel yet.")
    assert handed.focus() == "Linked channels"


def who_may_not_is_told(stage):
    stage.model.permission = "user"
    page = stage.in_client()
    page.shows("You may use this bridge, but not link rooms")
    assert not page.run("document.getElementById('ask-form').checkVisibility()")
    stage.model.permission = "plumber"
    page.tab_to("Try again").key("Enter")
    page.shows("This room is not linked with any channel yet.")


def the_session_ends_with_the_page(stage):
    page = stage.in_client()
    page.shows("This room is not linked")
    page.browser.call("Runtime.evaluate", session=page.top, expression="document.getElementById('widget').remove()")
    end = time.monotonic() + 10
    while stage.model.sessions != {"handed-over"} and time.monotonic() < end:
        time.sleep(0.05)
    assert stage.model.asked("DELETE", "/session") and stage.model.sessions == {"handed-over"}


def no_text_becomes_a_script_or_markup(stage):
    page = stage.handed()
    page.shows("This room is not linked")
    script = page.run("(() => { try { const s = document.createElement('script'); s.textContent = 'window.hacked = 1'; document.head.append(s); return 'taken'; } catch (fault) { return fault.name; } })()")
    assert script == "TypeError" and page.run("window.hacked") is None, script
    markup = page.run("(() => { try { document.body.innerHTML = '<p>'; return 'taken'; } catch (fault) { return fault.name; } })()")
    assert markup == "TypeError", markup
    # The browser tells of both; that is no fault of the page.
    stage.expected = ("TrustedScript", "TrustedHTML")


STORIES = [
    the_keyboard_alone_links_a_room,
    a_reload_finds_what_is_awaited,
    a_refusal_has_its_reason,
    a_key_goes_in_no_address,
    a_session_that_is_over_is_renewed,
    the_client_asks_its_person,
    hostile_names_are_text,
    a_screen_reader_gets_all,
    it_is_seen_in_light_and_dark_small_and_wide,
    who_wants_no_motion_gets_none,
    waiting_has_an_end,
    alone_it_tells_the_way,
    who_may_not_is_told,
    the_session_ends_with_the_page,
    no_text_becomes_a_script_or_markup,
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", required=True)
    parser.add_argument("--axe", required=True, type=pathlib.Path)
    parser.add_argument("--pictures")
    parser.add_argument("stories", nargs="*")
    arguments = parser.parse_args()
    known = {story.__name__: story for story in STORIES}
    chosen = [known[name] for name in arguments.stories] or STORIES
    failed = 0
    browser = Browser()
    try:
        for story in chosen:
            began = time.monotonic()
            stage = Stage(browser, arguments)
            try:
                try:
                    story(stage)
                finally:
                    stage.end()
                print(f"ok      {story.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED  {story.__name__}\n{traceback.format_exc()}", flush=True)
    finally:
        browser.end()
    print(f"{len(chosen) - failed} of {len(chosen)} stories hold", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
