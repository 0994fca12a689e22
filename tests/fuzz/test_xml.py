"""Fuzzing tests for the parser of XML-RPC's messages (docs/fuzzing.md)."""

from __future__ import annotations

import re
from xmlrpc.client import Fault, loads

from hypothesis import example, given

from finger.adapters.xmlrpc.messages import ENCODINGS, MAX_DEPTH, MAX_VALUES, Call, parseCall
from tests.fuzz.documents import DOCTYPES, Document, count, depth, documents, hostile, strings, withDoctype
from tests.fuzz.inputs import tries
from tests.fuzz.peers import FuzzTestCase

_OTHERS = re.compile(rb"<(?:i4|i8|int|boolean|double|dateTime|base64|nil)")

_DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml[^>]*encoding\s*=\s*[\"']([^\"']*)")


class DocumentTests(FuzzTestCase):
    """Tests for L{finger.adapters.xmlrpc.messages.parseCall}."""

    def assertAgrees(self, call: Call, body: bytes) -> None:
        """Check that Python's own XML-RPC reads the same, where a call has only types that methods take."""
        if not _OTHERS.search(body):
            params, method = loads(body)
            self.assertEqual((method or "", params), (call.method, call.params))

    def assertBounded(self, call: Call, body: bytes) -> None:
        """Check that a call is within the limits, and that nothing in it was expanded."""
        self.assertLessEqual(sum(map(count, call.params)), MAX_VALUES)
        self.assertLessEqual(max(map(depth, call.params), default=0), MAX_DEPTH)
        self.assertLessEqual(sum(map(len, strings([*call.params]))), len(body))

    @tries(100, "call", "too deep", "too many")
    @given(documents)
    def test_documents(self, document: Document) -> None:
        """A valid call is read as it was written, in whatever way; one above the limits is refused."""
        with self.quiet():
            if document.depth > MAX_DEPTH or document.count > MAX_VALUES:
                self.saw("too deep" if document.depth > MAX_DEPTH else "too many")
                self.assertRaises(Fault, parseCall, document.body)
                return
            self.saw("call")
            call = parseCall(document.body)
            self.assertEqual(call, Call(document.method, document.params))
            self.assertAgrees(call, document.body)
            self.assertBounded(call, document.body)

    @tries(100, "call", "fault")
    @given(hostile)
    @example(b"<methodCall>" + b"<params>" * 20_000)
    @example(b"<?xml version='1.0' encoding='utf-7'?><methodCall><methodName>getUsers</methodName></methodCall>")
    def test_hostile(self, body: bytes) -> None:
        """
        Any document is a Fault, or a call that Python's own XML-RPC reads as well, within the limits, and in one of
        three encodings.
        """
        with self.quiet():
            try:
                call = parseCall(body)
            except Fault:
                self.saw("fault")
                return
            self.saw("call")
            self.assertBounded(call, body)
            self.assertAgrees(call, body)
            declared = _DECLARED.match(body)
            if declared is not None:
                self.assertIn(declared[1].decode().lower(), ENCODINGS)

    @tries(60, "entities")
    @given(withDoctype)
    @example(DOCTYPES[0].encode())
    def test_doctype(self, body: bytes) -> None:
        """A document type is refused, whatever it declares."""
        with self.quiet():
            self.assertIn(b"<!DOCTYPE", body)
            if b"ENTITY" in body:
                self.saw("entities")
            self.assertRaises(Fault, parseCall, body)
