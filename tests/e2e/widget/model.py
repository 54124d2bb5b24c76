"""The bridge's HTTP API as `src/web/api/openapi.json` describes it, as far as the widget asks for it; and the Matrix client.

The page's files come from the program's own router, by way of `files`. What is asked of IRC is set by the test: who is an
operator, what a question is answered with, when they agree. Every request is noted.
"""

import json
import pathlib
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BASE = "/_bunraku/api/v1/"
USER = "@ada:lab.test"


class Model:
    def __init__(self, files):
        self.files = files
        self.networks = [
            {"id": "libera", "name": "Libera Chat", "bot_user_id": "@ircbot:lab.test"},
            {"id": "oftc", "name": "OFTC", "bot_user_id": "@ircbot:lab.test"},
        ]
        self.user = USER
        self.permission = "plumber"
        self.links = []
        self.operators = ["alice", "bob"]
        # What PUT is answered with: "asked", "linked", or (status, errcode, words).
        self.answer = "asked"
        # Tokens of sessions that hold.
        self.sessions = {"handed-over"}
        self.given = 0
        self.requests = []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_port
        # Another site than the page's for a browser, as a Matrix client is.
        self.url = f"http://localhost:{self.port}"
        self.client = f"http://127.0.0.1:{self.port}"

    def end(self):
        self.server.shutdown()
        self.server.server_close()

    def agree(self):
        for link in self.links:
            link["state"] = "linked"
            link.pop("since_ms", None)

    def asked(self, method, part):
        return [r for r in self.requests if r["method"] == method and part in r["path"]]

    def _handler(model):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body):
                self.send(status, json.dumps(body).encode(), {"content-type": "application/json"})

            def send(self, status, data, headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def refuse(self, status, code, words):
                self.answer(status, {"errcode": code, "error": words})

            def handle_any(self):
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                path = urllib.parse.urlsplit(self.path).path
                if path == "/host":
                    data = (pathlib.Path(__file__).parent / "host.html").read_bytes()
                    return self.send(200, data, {"content-type": "text/html; charset=utf-8"})
                if path.startswith("/widget"):
                    return self.file()
                with model.lock:
                    model.requests.append({"method": self.command, "path": path, "body": body, "key": self.headers.get("bunraku-channel-key")})
                    if not path.startswith(BASE):
                        return self.refuse(404, "M_UNRECOGNIZED", "There is nothing here.")
                    parts = [urllib.parse.unquote(part) for part in path[len(BASE):].split("/")]
                    return self.api(self.command, parts, body)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def file(self):
                try:
                    with urllib.request.urlopen(model.files + self.path, timeout=10) as answer:
                        return self.send(answer.status, answer.read(), headers_of(answer))
                except urllib.error.HTTPError as fault:
                    return self.send(fault.code, fault.read(), headers_of(fault))

            def api(self, method, parts, body):
                if (method, parts) == ("POST", ["openid"]):
                    if body.get("matrix_server_name") != "lab.test" or not body.get("access_token"):
                        return self.refuse(403, "BUNRAKU_BAD_OPENID", "That server does not know this token.")
                    model.given += 1
                    token = f"session-{model.given}"
                    model.sessions.add(token)
                    return self.answer(200, {"token": token, "user_id": model.user, "expires_in_ms": 86_400_000})
                token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
                if token not in model.sessions:
                    return self.refuse(401, "M_UNKNOWN_TOKEN", "This session is not known, or over.")
                match (method, parts):
                    case ("DELETE", ["session"]):
                        model.sessions.discard(token)
                        return self.answer(200, {})
                    case ("GET", ["whoami"]):
                        return self.answer(200, {"user_id": model.user, "permission": model.permission, "kind": "session"})
                    case ("GET", ["networks"]):
                        return self.answer(200, {"networks": model.networks})
                    case ("GET", ["networks", _, "channels", channel]):
                        return self.answer(200, {"channel": channel, "operators": model.operators, "links": []})
                    case ("GET", ["rooms", _, "links"]):
                        return self.answer(200, {"links": model.links})
                    case ("PUT", ["rooms", _, "links", network, channel]):
                        return self.put(network, channel, body)
                    case ("DELETE", ["rooms", _, "links", network, channel]):
                        model.links = [l for l in model.links if (l["network"], l["channel"]) != (network, channel)]
                        return self.answer(200, {})
                    case _:
                        return self.refuse(404, "M_UNRECOGNIZED", "There is no such route.")

            def put(self, network, channel, body):
                if isinstance(model.answer, tuple):
                    return self.refuse(*model.answer)
                link = {"network": network, "channel": channel, "state": model.answer, "by": model.user}
                if model.answer == "linked":
                    model.links.append(link)
                    return self.answer(200, {"state": "linked", "channel": channel})
                model.links.append({**link, "since_ms": 1_780_000_000_000})
                whom = [body["operator"]] if "operator" in body else model.operators
                return self.answer(202, {"state": "asked", "channel": channel, "operators": whom})

        return Handler


def headers_of(answer):
    left_out = {"connection", "transfer-encoding", "content-length", "date"}
    return {name: value for name, value in answer.headers.items() if name.lower() not in left_out}
