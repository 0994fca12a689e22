"""What was sent on a connection and has not arrived."""

from __future__ import annotations

import os
import socket
from unittest.mock import Mock

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from finger.net.unreceived import hasUnreceived


class UnreceivedTests(SynchronousTestCase):
    """L{hasUnreceived}."""

    def test_sockets(self) -> None:
        """Data is unreceived until the peer has it: for TCP its kernel, which may have no room, for UNIX itself."""
        with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            peer.connect(listening.getsockname())
            ours, _ = listening.accept()
            with ours:
                transport = Mock(getHandle=lambda: ours)
                self.assertFalse(hasUnreceived(transport))
                ours.setblocking(False)
                ours.send(b"x" * 100_000)
                self.assertTrue(hasUnreceived(transport))

    def test_none(self) -> None:
        """A transport without a socket has none, nor has one whose socket is closed, or is not a socket."""
        self.assertFalse(hasUnreceived(StringTransport()))
        closed = socket.socket()
        closed.close()
        with open(os.devnull) as null:
            for handle in (closed, null):
                self.assertFalse(hasUnreceived(Mock(getHandle=lambda handle=handle: handle)))
