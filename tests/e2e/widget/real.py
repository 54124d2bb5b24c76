"""The setup widget of a running bridge, in a model of a Matrix client whose homeserver is real. Led by the test, which plays the
channel's operator and reads here how far the page is: one word a line.

    python3 real.py --page http://localhost:PORT/widget --room ROOM --channel CHANNEL --openid JSON
"""

import argparse
import pathlib
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from browser import Browser

PATIENT_S = 60


class Client(BaseHTTPRequestHandler):
    """Gives out the page of the Matrix client, whatever is asked for."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        data = (pathlib.Path(__file__).parent / "host.html").read_bytes()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def told(word):
    print(word, flush=True)


def walk(browser, arguments, client):
    widget = urllib.parse.urlencode({"roomId": arguments.room, "widgetId": "w1"})
    origin = arguments.page.removesuffix("/widget")
    host = {"src": f"{arguments.page}?{widget}", "widgetOrigin": origin, "answer": "allowed", "openid": arguments.openid}
    page = browser.page(f"{client}/host?{urllib.parse.urlencode(host)}").into_widget()
    page.shows("This room is not linked with any channel yet.", PATIENT_S)
    page.tab_to("Channel").type(arguments.channel)
    page.tab_to("Show its operators").key("Enter")
    page.shows("operator is there", PATIENT_S)
    page.tab_to("Ask to link it").key("Enter")
    page.shows("waiting for its operators", PATIENT_S)
    told("asked")
    page.shows(f"{arguments.channel} is linked.", PATIENT_S)
    told("linked")
    page.run("document.getElementById('links-title').focus()")
    page.wait("the button", "document.querySelector('#links button')?.textContent === 'Unlink'")
    # The test talks over the link before it ends it.
    input()
    page.tab_to(f"Unlink {arguments.channel} on Local").key("Enter")
    page.key("Tab", shift=True)
    page.key("Enter")
    page.shows("is not linked any more", PATIENT_S)
    page.shows("This room is not linked with any channel yet.", PATIENT_S)
    told("unlinked")


def main():
    parser = argparse.ArgumentParser()
    for name in ("page", "room", "channel", "openid"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Client)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = Browser()
    try:
        walk(browser, arguments, f"http://127.0.0.1:{server.server_port}")
    finally:
        browser.end()


if __name__ == "__main__":
    main()
