"""Tests of signals, file descriptors and many connections, during which no query may lose its answer."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from finger.net.limits import SILENCE
from tests.process.test_blackbox import USERS, BlackBoxTestCase, waitUntil
from tests.support.tools import DEADLINE, FAMILIES, ROOT, TIMES, Server, ask, receive, twistdPath

FAILING = ROOT / "tests" / "thirdparty" / "failing"
"""The directory of a back end that always fails."""


class SlowServer:
    """
    A finger server that answers when the test allows it; with the proxy back end, it delays another server's answers.
    """

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.asked = threading.Event()
        self.answer = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection:
                    connection.recv(1000)
                    self.asked.set()
                    self.answer.wait(DEADLINE)
                    connection.sendall(b"At last\r\n")

    def close(self) -> None:
        """Stop the server."""
        self.answer.set()
        # Closing the socket does not wake a thread in accept(); shutting it down does.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(DEADLINE)


class SignalTests(BlackBoxTestCase):
    """SIGTERM and SIGHUP."""

    def startSlow(self, *options: str) -> tuple[Server, SlowServer]:
        """Start a server whose answers wait for a slow server."""
        slow = SlowServer()
        self.addCleanup(slow.close)
        server = self.start(f"--backend=proxy:127.0.0.1:{slow.port}", "--fingerport=0", "--webport=0", *options)
        return server, slow

    def test_drain(self) -> None:
        """On SIGTERM, pending queries are answered, idle connections closed, and new ones refused."""
        server, slow = self.startSlow()
        port = server.port("fingerport")
        with contextlib.ExitStack() as stack:
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE))
            idle = stack.enter_context(socket.create_connection(("::1", server.port("webport")), timeout=DEADLINE))
            finger = stack.enter_context(socket.create_connection(("::1", port), timeout=DEADLINE))
            web = stack.enter_context(socket.create_connection(("::1", server.port("webport")), timeout=DEADLINE))
            finger.sendall(b"moshez\r\n")
            web.sendall(b"GET /moshez HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(slow.asked.wait(DEADLINE))
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual((receive(silent), receive(idle)), (b"", b""))
            for host in FAMILIES.values():
                self.assertRaises(ConnectionRefusedError, socket.create_connection, (host, port))
            self.assertIsNone(server.process.poll())
            slow.answer.set()
            self.assertEqual(receive(finger), b"At last\r\n")
            self.assertIn(b"At last", receive(web))
        self.assertEqual(server.process.wait(DEADLINE), -signal.SIGTERM)
        self.assertNotIn("Traceback", server.log)

    def test_drainEnds(self) -> None:
        """Draining has a time limit."""
        server, slow = self.startSlow("--drain-timeout=1")
        with socket.create_connection(("::1", server.port("fingerport")), timeout=DEADLINE) as connection:
            connection.sendall(b"moshez\r\n")
            self.assertTrue(slow.asked.wait(DEADLINE))
            server.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(receive(connection), b"")
        self.assertEqual(server.process.wait(DEADLINE), -signal.SIGTERM)
        self.assertIn("'moshez' Aborted ", server.log)

    def test_twice(self) -> None:
        """A second signal stops the server at once."""
        # A process that a shell starts in the background ignores SIGINT, and its children would inherit that.
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        for number in (signal.SIGTERM, signal.SIGINT):
            server, slow = self.startSlow("--drain-timeout=3600")
            with socket.create_connection(("::1", server.port("fingerport")), timeout=DEADLINE) as connection:
                connection.sendall(b"moshez\r\n")
                self.assertTrue(slow.asked.wait(DEADLINE))
                server.process.send_signal(number)
                waitUntil(lambda server=server: "Port" in server.log and "Closed" in server.log, server.process)
                self.assertIsNone(server.process.poll())
                server.process.send_signal(number)
                self.assertEqual(server.process.wait(DEADLINE), -number)

    def test_hangups(self) -> None:
        """Reloads under load, a hundred or more, lose no answer."""
        server = self.start(f"--file={USERS}", "--ssl", "--fingerport=0", "--webport=0", "--httpsport=0")
        port, ended = server.port("fingerport"), threading.Event()
        answers: list[bytes] = []

        def keepAsking(host: str) -> None:
            while not ended.is_set():
                answers.append(ask(host, port, b"moshez\r\n"))

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(keepAsking, host) for host in [*FAMILIES.values()] * 2]
            try:
                for number in range(100 * TIMES):
                    server.process.send_signal(signal.SIGHUP)
                    waitUntil(lambda n=number: server.log.count("finger has reloaded\n") > n, server.process)
            finally:
                ended.set()
            for future in asking:
                future.result(DEADLINE)
        self.assertEqual(set(answers), {b"Happy and well\r\n"})
        self.assertNotIn("Traceback", server.log)


class DescriptorTests(BlackBoxTestCase):
    """Few and many file descriptors."""

    def test_few(self) -> None:
        """With 40 descriptors, 60 connections neither block the server nor flood its log."""
        here = self.users("moshez: Happy and well\n")
        script = 'ulimit -n 40; exec "$0" "$@"'
        with open(here.with_name("log"), "wb") as log:
            process = subprocess.Popen(
                [
                    *("/bin/sh", "-c", script, twistdPath(), "-n", "--pidfile=", "finger", f"--file={here}"),
                    *("--fingerport=0", "--webport=none", "--pbport=none"),
                ],
                stdout=log,
                stderr=log,
            )
        self.addCleanup(process.wait, DEADLINE)
        self.addCleanup(process.kill)
        waitUntil(lambda: b"finger is ready" in here.with_name("log").read_bytes(), process)
        port = int(here.with_name("log").read_text().split("listening on 0.0.0.0:")[1].split()[0])
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(60)]
            # Connections beyond the limit are closed, with or without a reply.
            waitUntil(lambda: len(select.select(silent, [], [], 0)[0]) >= 60 - 40, process)
            lines = here.with_name("log").read_text().count("\n")
        waitUntil(lambda: ask("::1", port, b"moshez\r\n") == b"Happy and well\r\n", process)
        self.assertIn("the limit of open files is too low", here.with_name("log").read_text())
        self.assertLess(lines, 20)
        self.assertNotIn("EMFILE", here.with_name("log").read_text())

    def test_silent(self) -> None:
        """
        With all connections taken by silent peers, queries are still answered: at once if they have arrived with the
        connection, and otherwise in the place of the peer that has been silent for the longest time.
        """
        users = self.users("moshez: Happy and well\n")
        self.crowd(self.start(f"--file={users}", "--fingerport=0", "--max-connections=20"))

    def test_noDescriptors(self) -> None:
        """The same if the process runs out of file descriptors: it has inherited more than it knows of."""
        with contextlib.ExitStack() as stack:
            inherited = [stack.enter_context(socket.socket()) for _ in range(40)]
            most = max(one.fileno() for one in inherited) + 25
            server = Server(
                f"--file={self.users('moshez: Happy and well' + chr(10))}",
                "--fingerport=0",
                before=("/bin/sh", "-c", f'ulimit -n {most}; exec "$0" "$@"'),
                sockets=inherited,
            )
        self.addCleanup(server.stop)
        self.crowd(server)
        self.assertIn("connections wait to be accepted: Too many open files", server.log)

    def crowd(self, server: Server) -> None:
        """Open more silent connections than the server can take, and query it meanwhile.  Its log grows slowly."""
        began, lines = time.monotonic(), server.log.count("\n")
        addresses = [(host, server.port("fingerport")) for host in FAMILIES.values()]
        with contextlib.ExitStack() as stack:
            for number in range(60):
                stack.enter_context(socket.create_connection(addresses[number % 2], DEADLINE))
            server.process.send_signal(signal.SIGSTOP)
            prompt = [stack.enter_context(socket.create_connection(address, DEADLINE)) for address in addresses]
            for peer in prompt:
                peer.sendall(b"moshez\r\n")
            server.process.send_signal(signal.SIGCONT)
            self.assertEqual([receive(peer) for peer in prompt], [b"Happy and well\r\n"] * 2)
            time.sleep(SILENCE + 0.5)
            slow = [stack.enter_context(socket.create_connection(address, DEADLINE)) for address in addresses]
            time.sleep(0.2)  # Until both are accepted; else they would be answered as the prompt ones.
            for peer in slow:
                peer.sendall(b"moshez\r\n")
            self.assertEqual([receive(peer) for peer in slow], [b"Happy and well\r\n"] * 2)
        self.assertLess(server.log.count("\n") - lines, 20 + 3 * (time.monotonic() - began))
        self.assertNotIn("Traceback", server.log)

    def test_many(self) -> None:
        """A query is answered beside ten thousand silent connections."""
        count = 10_000
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < count + 1000:
            count = hard - 1000  # The maximum that this machine allows.
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 500), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, soft)
        server = self.start(
            *(f"--file={USERS}", "--fingerport=0", "--webport=none", f"--max-connections={count + 100}"),
            "--query-timeout=600",
        )
        port = server.port("fingerport")
        with contextlib.ExitStack() as stack:
            for number in range(count):
                host = f"127.0.0.{1 + number % 8}"
                stack.enter_context(socket.create_connection((host, port), timeout=DEADLINE))
            began = time.monotonic()
            self.assertEqual(ask("127.0.0.1", port, b"moshez\r\n"), b"Happy and well\r\n")
            took = time.monotonic() - began  # Printed for comparison only, as machines differ.
            descriptors = len(os.listdir(f"/proc/{server.process.pid}/fd")) if os.geteuid() == 0 else count
        self.assertGreaterEqual(descriptors, count * 0.9)
        print(f"\n    {count} silent connections, and a query took {took * 1000:.1f} ms")


class BrokenBackendTests(BlackBoxTestCase):
    """A back end that always fails, under many queries."""

    def test_flood(self) -> None:
        """Each query is answered on each adapter; the log has each kind of failure, but a limited number of each."""
        ports = ("--fingerport=0", "--webport=0", "--rate=0")
        server = self.start("--backend=failing", *ports, PYTHONPATH=str(FAILING))
        for number in range(300):
            for host in FAMILIES.values():
                answer = ask(host, server.port("fingerport"), b"ada%d\r\n" % number)
                self.assertEqual(answer, b"Internal error in server\r\n")
        for query in (b"other\r\n", b"\r\n"):
            self.assertEqual(ask("::1", server.port("fingerport"), query), b"Internal error in server\r\n")
        page = ask("::1", server.port("webport"), b"GET /other HTTP/1.0\r\n\r\n")
        self.assertIn(b"500 Internal Server Error", page)
        self.assertNotIn(b"LookupError", page)
        for name in ("ZeroDivisionError", "LookupError", "RuntimeError"):
            self.assertIn(f"{name}: ", server.log)
        self.assertEqual(server.log.count("Traceback (most recent call last)"), 3 + 2 + 1)
