"""Tests of the XML-RPC adapter, without a network."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from xmlrpc.client import Fault, dumps, loads

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from twisted.web.test.requesthelper import DummyRequest
from zope.interface.verify import verifyObject

from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable, ListRefused
from finger.interfaces import IFingerService, IXMLRPCResource
from finger.testing import BrokenDouble

USERS = MemoryFingerService({"moshez": "Happy and well", "zoë": "\x1b[2J\0\ufffe"})


class _Request(DummyRequest):
    content: BytesIO


class XMLRPCTests(SynchronousTestCase):
    """Calls and Faults."""

    def post(self, body: bytes, service: IFingerService = USERS) -> Any:
        """Post a body, and return the response's value or Fault."""
        resource = IXMLRPCResource(service)
        verifyObject(IXMLRPCResource, resource)
        verifyObject(IResource, resource)
        request = _Request([b""])
        request.method = b"POST"
        request.content = BytesIO(body)
        answer = resource.render(request)
        written = b"".join(request.written) if answer is NOT_DONE_YET else answer
        self.assertEqual(request.responseHeaders.getRawHeaders(b"content-type"), [b"text/xml; charset=utf-8"])
        try:
            return loads(written)[0][0]
        except Fault as fault:
            return fault

    def call(self, method: str, *arguments: Any, service: IFingerService = USERS) -> Any:
        """Call a method, and return its value or Fault."""
        return self.post(dumps(arguments, method).encode(), service)

    def assertFault(self, answer: object, code: int, text: str) -> None:
        """Check that an answer is a Fault of one line."""
        assert isinstance(answer, Fault)
        self.assertEqual(answer.faultCode, code)
        self.assertIn(text, answer.faultString)
        self.assertNotIn("\n", answer.faultString)

    def test_getUser(self) -> None:
        """getUser returns the status, or "No such user"."""
        self.assertEqual(self.call("getUser", "moshez"), "Happy and well")
        self.assertEqual(self.call("getUser", "nobody"), "No such user")

    def test_clean(self) -> None:
        """Characters that XML cannot carry are replaced."""
        self.assertEqual(self.call("getUser", "zoë"), "?[2J??")

    def test_getUsers(self) -> None:
        """getUsers returns the names."""
        self.assertEqual(self.call("getUsers"), ["moshez", "zoë"])

    def test_introspection(self) -> None:
        """Introspection lists the methods, with help and signatures."""
        methods = self.call("system.listMethods")
        self.assertIn("getUser", methods)
        self.assertIn("getUsers", methods)
        for method in methods:
            self.assertNotEqual(self.call("system.methodHelp", method), "", method)
            self.assertIsInstance(self.call("system.methodSignature", method)[0], list, method)

    def test_broken(self) -> None:
        """A failure of the back end is a Fault without details, and logged once."""
        for answer in (
            self.call("getUser", "moshez", service=BrokenDouble()),
            self.call("getUsers", service=BrokenDouble()),
        ):
            self.assertFault(answer, 1, "Internal error in server")
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 2)

    def test_refused(self) -> None:
        """A refused list is a Fault with the reason."""
        answer = self.call("getUsers", service=BrokenDouble(ListRefused()))
        self.assertFault(answer, 1, "Finger online user list denied")

    def test_badCalls(self) -> None:
        """An invalid call is a Fault, and not logged as a failure."""
        for user in (1, ["moshez"], {"a": 1}):
            self.assertFault(self.call("getUser", user), 2, "one string")
        self.assertFault(self.call("getUser"), 2, "getUser: missing a required argument")
        self.assertFault(self.call("getUsers", 1), 2, "getUsers: too many positional arguments")
        self.assertFault(self.call("getNothing"), 8001, "getNothing not found")

    def test_noName(self) -> None:
        """A call without a method name is a Fault."""
        for body in (dumps(("x",), methodresponse=True), "<methodCall><params></params></methodCall>"):
            self.assertFault(self.post(body.encode()), 2, "a method's name is a string")

    def test_methods(self) -> None:
        """Methods other than POST get 405, on any path."""
        for method in (b"GET", b"HEAD", b"PUT", b"NONSENSE"):
            request = DummyRequest([b"\xff"])
            request.method = method
            answer = IXMLRPCResource(USERS).render(request)
            self.assertEqual(request.responseCode, 405)
            self.assertEqual(request.responseHeaders.getRawHeaders(b"allow"), [b"POST"])
            self.assertEqual(answer, b"" if method == b"HEAD" else b"XML-RPC calls are sent with POST\n")

    def test_badBodies(self) -> None:
        """A body that is not a call is a Fault, without the parser's message or internal details."""
        for body in (b"", b"<", b"<methodCall/>", b"\xff", LAUGHS):
            self.assertFault(self.post(body), 2, "this is not an XML-RPC call")


LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY l0 "ha">%s]>
<methodCall><methodName>getUser</methodName><params><param><value><string>&l30;</string></value></param></params>
</methodCall>""" % b"".join(b'<!ENTITY l%d "&l%d;&l%d;">' % (n, n - 1, n - 1) for n in range(1, 31))
