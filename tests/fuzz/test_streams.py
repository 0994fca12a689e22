"""Fuzzing tests for HTTP connections with several requests: the server stays in step (docs/fuzzing.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from finger.net.http import BoundedSite
from tests.fuzz.heads import LONG, Sent, pipelines, readStream, streams
from tests.fuzz.inputs import chunkings, tries
from tests.fuzz.peers import Behaviour, FuzzTestCase, readResponses
from tests.support.httprules import CHUNKED, PROBE, RULES, post


class _Anything(Resource):
    """A resource that answers every request."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """Return two bytes, whatever the method is."""
        return b"ok"


class _SeenSite(BoundedSite):
    """A site that records the requests it has answered."""

    requests: list[tuple[bytes, bytes]]

    def log(self, request: Any) -> None:
        """Record the method and the target."""
        self.requests.append((request.method, request.uri))


class StreamTests(FuzzTestCase):
    """Tests for L{finger.net.http} on its own, without pages."""

    def send(self, data: bytes, behaviour: Behaviour) -> tuple[list[tuple[bytes, bytes]], bool]:
        """Return the requests that were answered, and whether a refusal followed."""
        clock = Clock()
        site = _SeenSite(_Anything(), clock)
        site.requests = []
        received = self.converse(site, clock, data, behaviour)
        responses = readResponses(received, [method for method, _ in site.requests])
        refusals = [response for response in responses if b"server" not in response.headers]
        for refusal in refusals:
            self.assertEqual(refusal.headers[b"connection"], b"close")
            self.assertIn(refusal.code, {400, 413, 414, 417, 421, 431, 501, 505})
            self.assertIs(refusal, responses[-1])
        self.assertEqual(len(responses), len(site.requests) + len(refusals))
        return site.requests, bool(refusals)

    @tries(300, "whole", "several", "invalid", "incomplete")
    @given(streams, chunkings, st.booleans(), st.booleans())
    @example(b"GET https://x/moshez HTTP/1.1\r\nHost: x\r\n\r\n" + PROBE, [], True, False)
    @example(post(b"Transfer-Encoding: gzip", body=b"0\r\n\r\n") + PROBE, [], False, False)
    @example(post(CHUNKED, body=b"0\r\nContent-Length: -1\r\n\r\n") + PROBE, [], False, False)
    @example(post(CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n") + PROBE, [1], False, True)
    def test_inStep(self, data: bytes, sizes: Sequence[int], isTLS: bool, ends: bool) -> None:
        """
        The server answers exactly the requests that a strict reader sees, whatever the pieces, and refuses the first
        invalid one, after which it answers none.
        """
        with self.oneInput():
            expected = readStream(data, isTLS)
            answered, isRefused = self.send(data, Behaviour(sizes, isTLS=isTLS, ends=ends))
            self.assertEqual(answered, expected.requests)
            if expected.rest:
                self.saw("incomplete")
                self.assertTrue(expected.mayBeRefused or not isRefused, "an incomplete request is refused")
            else:
                self.saw("invalid" if expected.isInvalid else "whole")
                self.assertEqual(isRefused, expected.isInvalid)
            if len(answered) > 1:
                self.saw("several")

    def test_rules(self) -> None:
        """The strict reader agrees with the table of rules on which are valid."""
        for rule in RULES:
            stream = readStream(rule.request)
            if len(stream.rest) > LONG:
                continue  # What never ends is refused by its length.
            isRefused = rule.code in {400, 413, 414, 417, 431, 505} or (rule.code == 501 and not rule.stays)
            self.assertEqual(stream.isInvalid, isRefused, rule)
            self.assertEqual(stream.rest, b"", rule)

    @tries(60, "several", "cut", "with content")
    @given(pipelines, st.lists(st.integers(0, 20_000), min_size=2, max_size=2), chunkings, st.booleans())
    def test_pipelined(self, sent: list[Sent], cuts: list[int], sizes: list[int], isTLS: bool) -> None:
        """
        All requests that are sent at once are answered in order, wherever the data is split, and the connection stays
        until the peer ends it.  If it ends within a request, those before it are answered.
        """
        data = b"".join(request.data for request in sent)
        wanted = [(request.method, request.target) for request in sent]
        with self.oneInput():
            for cut in (cut % (len(data) + 1) for cut in cuts):
                behaviour = Behaviour([max(cut, 1), len(data)], isTLS=isTLS, ends=True)
                self.assertEqual(self.send(data, behaviour), (wanted, False))
                self.assertCut(sent, cut, Behaviour(sizes, isTLS=isTLS, ends=True))
            if len(sent) > 1:
                self.saw("several")
            if any(len(request.data) > 100 for request in sent):
                self.saw("with content")

    def assertCut(self, sent: Sequence[Sent], cut: int, behaviour: Behaviour) -> None:
        """Check a half-close after some of the data."""
        data = b"".join(request.data for request in sent)
        ends = [sum(len(request.data) for request in sent[: number + 1]) for number in range(len(sent))]
        wanted = [(request.method, request.target) for request, end in zip(sent, ends, strict=True) if end <= cut]
        self.assertEqual(self.send(data[:cut], behaviour), (wanted, False))
        if cut not in ends:
            self.saw("cut")

    def test_everySplit(self) -> None:
        """Three requests, one of them with content and one with chunks, are cut by a half-close at every byte."""
        sent = [
            Sent(post(b"Content-Length: 5", body=b"hello"), b"POST", b"/moshez"),
            Sent(post(CHUNKED, body=b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"), b"POST", b"/moshez"),
            Sent(PROBE, b"GET", b"/moshez"),
        ]
        data = b"".join(request.data for request in sent)
        for cut in range(len(data) + 1):
            self.assertCut(sent, cut, Behaviour(ends=True, isTLS=bool(cut % 2)))
            behaviour = Behaviour([max(cut, 1), len(data)], ends=True, isTLS=not cut % 2)
            self.assertEqual(self.send(data, behaviour), ([(one.method, one.target) for one in sent], False))
