"""Small servers on loopback that stand for the world outside: IRC, a web site, a remote finger.

Each runs in a thread of its own on a free port, and ends with `stop()`.
"""

import contextlib
import socket
import socketserver
import threading
import time
from urllib.parse import unquote

GUEST = "Two lines, a <b>tag</b>\nand a bell: \a"
USERS = {"moshez": "Happy and well", "guest": GUEST}


class Double:
    """A TCP server in a thread; `handle` talks to one caller."""

    def __init__(self, port: int = 0) -> None:
        handle = self.handle

        class Handler(socketserver.StreamRequestHandler):
            timeout = 60

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # the caller has gone; what it misses is for the promise to say
                    handle(self)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", port), Handler)
        self.port: int = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def handle(self, caller: socketserver.StreamRequestHandler) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class IRCServer(Double):
    """Welcomes one bot at a time, hands it private messages, keeps every line it sends."""

    def __init__(self, port: int = 0) -> None:
        self.lines: list[str] = []
        self.nick = ""
        self.bot: socket.socket | None = None
        self.logins = 0
        super().__init__(port)

    def handle(self, caller: socketserver.StreamRequestHandler) -> None:
        for raw in caller.rfile:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            self.lines.append(line)
            command, _, rest = line.partition(" ")
            if command == "NICK":
                self.nick = rest.strip()
            if command == "USER":
                caller.wfile.write(f":double 001 {self.nick} :Welcome\r\n".encode())
                self.bot = caller.request
                self.logins += 1
            if command == "PING":
                caller.wfile.write(f":double PONG double {rest}\r\n".encode())
        if self.bot is caller.request:
            self.bot = None

    def tell(self, text: str, sender: str = "asker", to: str = "") -> None:
        """A message for the bot; `to` names a channel, else it is a private one."""
        if self.bot is None:
            raise ConnectionError("no bot is on IRC")
        line = f":{sender}!asker@127.0.0.1 PRIVMSG {to or self.nick} :{text}\r\n"
        self.bot.sendall(line.encode())

    def drop(self) -> None:
        """Close the bot's connection, as a server that restarts does."""
        if self.bot is not None:
            self.bot.shutdown(socket.SHUT_RDWR)

    def said(self) -> list[str]:
        """What the bot has said to people or channels."""
        return [line for line in list(self.lines) if line.startswith(("PRIVMSG", "NOTICE"))]


class WebSite(Double):
    """Answers /USER with the user's status; /big endlessly, /slow never, /stalled in part."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__()

    def handle(self, caller: socketserver.StreamRequestHandler) -> None:
        path = caller.rfile.readline().split()[1].decode("ascii", "replace")
        while caller.rfile.readline().strip():
            pass
        self.asked.append(path)
        user = unquote(path[1:])
        pages = USERS | {"webmaster": "Only the site knows me", "a/b c?d#e": "All of one name"}
        if user == "slow":
            wait_until_gone(caller)
        elif user == "stalled":
            caller.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nso far")
            wait_until_gone(caller)
        elif user == "big":
            send_endlessly(caller, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        elif user == "broken":
            caller.wfile.write(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
        elif user in pages:
            body = pages[user].encode()
            caller.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        else:
            caller.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


class FingerServer(Double):
    """Answers with the user's status; `big` endlessly, `slow` never. Keeps every query."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        super().__init__()

    def handle(self, caller: socketserver.StreamRequestHandler) -> None:
        query = caller.rfile.readline()
        self.asked.append(query)
        user = query.decode("utf-8", "replace").strip()
        if user == "slow":
            wait_until_gone(caller)
        elif user == "big":
            send_endlessly(caller, b"")
        else:
            caller.wfile.write(USERS.get(user, "No such user").encode())


def wait_until_gone(caller: socketserver.StreamRequestHandler) -> None:
    while caller.request.recv(1024):
        pass


def send_endlessly(caller: socketserver.StreamRequestHandler, head: bytes) -> None:
    """A kilobyte at a time, until the caller has had enough; bounded for our own sake."""
    caller.wfile.write(head)
    ends = time.monotonic() + 30
    for _ in range(2000):
        caller.wfile.write(b"x" * 1023 + b"\n")
        if time.monotonic() > ends:
            return
