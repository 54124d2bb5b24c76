"""The demo: starts Synapse, InspIRCd and bunraku on loopback, shows a line going each way, stays up.

Run by scripts/demo, which installs and builds; run with the Python that has Synapse. What it starts it stops, by
pid. Settings of the servers are those of the end-to-end tests (tests/e2e/conf).
"""

import argparse
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONF = ROOT / "tests" / "e2e" / "conf"
DOMAIN = "lab.test"
CHANNEL = "#welcome"
ALIAS = f"#irc_local_{CHANNEL}:{DOMAIN}"
USER, PASSWORD = "alice", "wonderland"
PUPPET = f"{USER}[m]"
IRC_NICK = "ada"
WAIT_S = 60
# Any seed will do: the homeserver signs only for itself.
SIGNING_KEY = "ed25519 a_demo QlVOUkFLVS1URVNULUtFWS1OT1QtQS1TRUNSRVQtISE\n"

BRIDGE_CONFIG = """\
homeserver: {{ url: "http://127.0.0.1:{matrix_port}", domain: {domain} }}
appservice: {{ listen: "127.0.0.1:{bridge_port}", url: "http://127.0.0.1:{bridge_port}", registration: registration.yaml, admins: [] }}
database: {{ url: "sqlite:{dir}/bunraku.db" }}
logging: {{ filter: "info", format: text }}
networks:
  local:
    name: Local
    servers: [ {{ host: 127.0.0.1, port: {irc_port}, tls: false }} ]
    nick: "$DISPLAY[m]"
"""


class Failed(Exception):
    """Something did not come up or did not arrive; the text is for the reader."""


class Parts:
    """The children, in the order they were started."""

    def __init__(self, directory):
        self.dir = directory
        self.children = []

    def start(self, name, command, cwd):
        log = self.dir / f"{name}.log"
        with open(log, "ab") as out:
            child = subprocess.Popen(
                command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, preexec_fn=end_with_parent,
            )
        self.children.append((name, child, log))

    def check(self):
        for name, child, log in self.children:
            if child.poll() is not None:
                raise Failed(f"{name} ended by itself (exit code {child.returncode}); its log: {log}")

    def stop(self):
        for _, child, _ in reversed(self.children):
            child.terminate()
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children.clear()


def end_with_parent():
    """In the child: get SIGTERM if the demo itself is killed (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Matrix:
    """The demo's Matrix user: the few calls it needs."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}/_matrix/client/v3/"
        self.token = None
        self.since = None

    def call(self, method, path, body=None, timeout=WAIT_S):
        request = urllib.request.Request(self.base + path, method=method)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Failed(f"Synapse answered {error.code} to {method} {path}: {error.read().decode()}") from None

    def register(self):
        auth = {"type": "m.login.dummy"}
        answer = self.call("POST", "register", {"username": USER, "password": PASSWORD, "auth": auth})
        self.token = answer["access_token"]
        self.sync(0)

    def join(self, alias):
        return self.call("POST", "join/" + urllib.parse.quote(alias, safe=""), {})["room_id"]

    def say(self, room, text):
        room = urllib.parse.quote(room, safe="")
        self.call("PUT", f"rooms/{room}/send/m.room.message/demo1", {"msgtype": "m.text", "body": text})

    def sync(self, timeout_ms):
        """What was said since the last sync: (sender, body) pairs."""
        query = {"timeout": timeout_ms}
        if self.since:
            query["since"] = self.since
        answer = self.call("GET", "sync?" + urllib.parse.urlencode(query))
        self.since = answer["next_batch"]
        said = []
        for room in answer.get("rooms", {}).get("join", {}).values():
            for event in room["timeline"]["events"]:
                if event["type"] == "m.room.message":
                    said.append((event["sender"], event["content"].get("body", "")))
        return said


class Irc:
    """The demo's IRC user. A thread of its own reads, answers PING and calls `on_said(nick, text)`."""

    def __init__(self, port, on_said):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.settimeout(None)
        self.on_said = on_said
        self.names = set()
        self.joined = threading.Event()
        self.send(f"NICK {IRC_NICK}")
        self.send("USER demo 0 * :Ada of the demo")
        threading.Thread(target=self.read, daemon=True).start()

    def send(self, line):
        self.socket.sendall(line.encode() + b"\r\n")

    def say(self, text):
        self.send(f"PRIVMSG {CHANNEL} :{text}")

    def read(self):
        for raw in self.socket.makefile("rb"):
            self.line(raw.decode("utf-8", "replace").rstrip("\r\n"))

    def line(self, line):
        prefix, rest = line[1:].split(" ", 1) if line.startswith(":") else ("", line)
        head, _, text = rest.partition(" :")
        nick, (command, *params) = prefix.split("!")[0], head.split()
        if command == "PING":
            self.send(f"PONG :{text or params[-1]}")
        elif command == "001":
            self.send(f"JOIN {CHANNEL}")
        elif command == "353":
            self.names.update(name.lstrip("~&@%+") for name in text.split())
        elif command == "366":
            self.joined.set()
        elif command == "JOIN":
            self.names.add(nick)
        elif command == "PRIVMSG" and params == [CHANNEL]:
            self.on_said(nick, text)


def wait_for(what, parts, probe, limit_s=WAIT_S):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        parts.check()
        found = probe()
        if found:
            return found
        time.sleep(0.1)
    raise Failed(f"{what} did not happen within {limit_s} s; logs are in {parts.dir}")


def answers(url):
    """Whether anything speaks HTTP there, whatever it says."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def free_port(preferred):
    """The usual port if nobody has it, so that clients find it; else any."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise Failed("no free port on loopback")


def fill(template, target, **values):
    text = (CONF / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    target.write_text(text)


def start_irc(parts, port):
    print(f"Starting InspIRCd on 127.0.0.1:{port}")
    config = parts.dir / "inspircd.conf"
    fill("inspircd.conf", config, DIR=parts.dir, PORT=port, OPER="oper", OPERPASS=os.urandom(12).hex())
    command = ["/usr/sbin/inspircd", "--nofork", "--config", str(config)]
    if os.geteuid() == 0:
        command.insert(1, "--runasroot")
    parts.start("inspircd", command, parts.dir)
    wait_for("InspIRCd listening", parts, lambda: listens(port))


def start_synapse(parts, port, registration):
    print(f"Starting Synapse on 127.0.0.1:{port}")
    config = parts.dir / "homeserver.yaml"
    registrations = json.dumps([str(registration)])
    fill("homeserver.yaml", config, DIR=parts.dir, PORT=port, REGISTRATIONS=registrations)
    fill("synapse-log.yaml", parts.dir / "log.yaml", DIR=parts.dir)
    (parts.dir / "signing.key").write_text(SIGNING_KEY)
    command = [sys.executable, "-m", "synapse.app.homeserver", "--config-path", str(config)]
    parts.start("synapse", command, parts.dir)
    wait_for("Synapse answering", parts, lambda: answers(f"http://127.0.0.1:{port}/_matrix/client/versions"))


def start_all(parts, bunraku):
    """Starts the three; gives the ports of Matrix and IRC."""
    irc_port, matrix_port, bridge_port = free_port(6667), free_port(8008), free_port(9898)
    start_irc(parts, irc_port)
    config = parts.dir / "config.yaml"
    config.write_text(BRIDGE_CONFIG.format(
        domain=DOMAIN, dir=parts.dir, irc_port=irc_port, matrix_port=matrix_port, bridge_port=bridge_port,
    ))
    made = subprocess.run(
        [bunraku, "registration", "--config", str(config)], cwd=parts.dir, capture_output=True, text=True,
    )
    if made.returncode != 0:
        raise Failed(f"bunraku registration: {made.stdout}{made.stderr}")
    start_synapse(parts, matrix_port, parts.dir / "registration.yaml")
    print(f"Starting bunraku on 127.0.0.1:{bridge_port}")
    parts.start("bunraku", [bunraku, "run", "--config", str(config)], parts.dir)
    wait_for("bunraku answering", parts, lambda: answers(f"http://127.0.0.1:{bridge_port}/"))
    return matrix_port, irc_port


class Talk:
    """What each side has seen; printed as it is seen."""

    def __init__(self, parts, matrix_port, irc_port):
        self.parts = parts
        self.on_irc, self.on_matrix = [], []
        self.matrix = Matrix(matrix_port)
        self.irc_port = irc_port

    def begin(self):
        self.matrix.register()
        print(f"\n{USER} joins {ALIAS} on Matrix, {IRC_NICK} joins {CHANNEL} on IRC\n")
        self.room = self.matrix.join(ALIAS)
        self.irc = Irc(self.irc_port, self.seen_on_irc)
        wait_for(f"{PUPPET} joining {CHANNEL}", self.parts, self.puppet_is_there)

    def puppet_is_there(self):
        return self.irc.joined.is_set() and PUPPET in self.irc.names

    def one_line_each_way(self):
        self.irc.say("hello from IRC")
        wait_for("the line from IRC on Matrix", self.parts, lambda: self.sees_on_matrix("hello from IRC"))
        self.matrix.say(self.room, "hello from Matrix")
        wait_for("the line from Matrix on IRC", self.parts, lambda: (PUPPET, "hello from Matrix") in self.on_irc)

    def seen_on_irc(self, nick, text):
        self.on_irc.append((nick, text))
        print(f"  [irc]    <{nick}> {text}", flush=True)

    def sees_on_matrix(self, body):
        self.read_matrix(1000)
        return any(text == body for _, text in self.on_matrix)

    def read_matrix(self, timeout_ms):
        for sender, body in self.matrix.sync(timeout_ms):
            if sender == f"@{USER}:{DOMAIN}":
                continue  # her own line; IRC shows it
            self.on_matrix.append((sender, body))
            print(f"  [matrix] {sender}: {body}", flush=True)


def how_to_join_in(parts, matrix_port, irc_port):
    print(f"""
Join in:

  Element   Sign in, edit the homeserver to  http://127.0.0.1:{matrix_port}
            user {USER}, password {PASSWORD} (or make an account), then join  {ALIAS}
            Element Desktop works, and https://app.element.io in a browser on this machine.

  irssi     /connect 127.0.0.1 {irc_port}
            /join {CHANNEL}

Any other channel has a room too: {ALIAS.replace(CHANNEL, "#yours")}
Logs and data: {parts.dir}
Ctrl-C stops everything. What is said in {CHANNEL} meanwhile:
""", flush=True)


def run(arguments, parts):
    matrix_port, irc_port = start_all(parts, arguments.bunraku)
    talk = Talk(parts, matrix_port, irc_port)
    talk.begin()
    talk.one_line_each_way()
    if arguments.once:
        print("\nBoth lines crossed.")
        return
    how_to_join_in(parts, matrix_port, irc_port)
    while True:
        parts.check()
        talk.read_matrix(2000)


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bunraku", required=True, type=os.path.abspath, help="the built program")
    arguments.add_argument("--once", action="store_true", help="one line each way, then end")
    arguments = arguments.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    sys.stdout.reconfigure(line_buffering=True)

    parts = Parts(pathlib.Path(tempfile.mkdtemp(prefix="bunraku-demo-")))
    status = 1
    try:
        run(arguments, parts)
        status = 0
    except KeyboardInterrupt:
        print("\nStopping")
        status = 1 if arguments.once else 0
    except (Failed, OSError) as fault:
        print(f"\nThe demo failed: {fault}\nLogs and data stay in {parts.dir}", file=sys.stderr)
    finally:
        parts.stop()
        if status == 0:
            shutil.rmtree(parts.dir, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
