"""Tests of the XML-RPC adapter, without a network."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from unittest.mock import patch
from xmlrpc.client import Fault, MultiCall, dumps, loads

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from twisted.web.test.requesthelper import DummyRequest
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.adapters.xmlrpc.resource import MAX_CALLS, MAX_NAME, MULTICALL, FingerXMLRPC
from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable, ListRefused
from finger.interfaces import IFingerService, ILimitedTransport, IXMLRPCResource
from finger.testing import BrokenDouble, SilentDouble
from tests.support.turns import TurningClock

USERS = MemoryFingerService({"moshez": "Happy and well", "zoë": "\x1b[2J\0\ufffe"})


class _Request(DummyRequest):
    content: BytesIO


@implementer(ILimitedTransport)
class _LimitedRequest(_Request):
    """
    A request that may make some further calls.

    @ivar refused: the number of calls that were refused.
    """

    def __init__(self, admitted: int) -> None:
        super().__init__([b""])
        self.method = b"POST"
        self._left = admitted
        self.refused = 0

    def admitRequest(self) -> float:
        """Admit a call, or refuse it for some seconds."""
        self._left -= 1
        self.refused += self._left < 0
        return 0.0 if self._left >= 0 else 2.5


class XMLRPCTestCase(SynchronousTestCase):
    """Calls to a resource."""

    def request(self, body: bytes) -> _Request:
        """Return a request with a body."""
        request = _Request([b""])
        request.method = b"POST"
        request.content = BytesIO(body)
        return request

    def post(self, body: bytes, service: IFingerService = USERS) -> Any:
        """Post a body, and return the response's value or Fault."""
        resource = IXMLRPCResource(service)
        verifyObject(IXMLRPCResource, resource)
        verifyObject(IResource, resource)
        request = self.request(body)
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

    def assertFault(self, answer: Any, code: int, text: str) -> None:
        """Check that an answer is a Fault of one line."""
        assert isinstance(answer, Fault)
        self.assertEqual(answer.faultCode, code)
        self.assertIn(text, answer.faultString)
        self.assertNotIn("\n", answer.faultString)


class XMLRPCTests(XMLRPCTestCase):
    """Calls and Faults."""

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

    def test_gone(self) -> None:
        """A caller that has left before the answer gets none."""
        service = SilentDouble()
        request = self.request(dumps(("moshez",), "getUser").encode())
        self.assertIs(IXMLRPCResource(service).render(request), NOT_DONE_YET)
        request.processingFailed(Failure(ConnectionDone()))
        service.asked[0].callback("too late")
        self.assertEqual(request.written, [])

    def test_raising(self) -> None:
        """A back end that raises is a Fault, too, and its query is logged."""
        with capturedLogs() as logs:
            self.assertFault(self.call("getUser", "moshez", service=RaisingDouble()), 1, "Internal error in server")
        self.assertEqual([event["outcome"] for event in logs if "outcome" in event], ["ZeroDivisionError"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_introspectionFaults(self) -> None:
        """Introspection of what is not a method is a Fault."""
        for method in ("methodHelp", "methodSignature"):
            self.assertFault(self.call(f"system.{method}", 1), 2, "a method's name is a string")
            self.assertFault(self.call(f"system.{method}", "getNothing"), 8001, "getNothing not found")

    def test_longName(self) -> None:
        """The name of a method that does not exist is sent back in part, and clean."""
        answer = self.call("\u202e" * 1000)
        self.assertFault(answer, 8001, "procedure ")
        self.assertEqual(answer.faultString, f"procedure {'?' * MAX_NAME} not found")


@implementer(IFingerService)
class RaisingDouble:
    """A back end that raises where it should return a failed Deferred."""

    def getUser(self, user: str) -> Deferred[str]:
        """Raise."""
        raise ZeroDivisionError

    def getUsers(self) -> Deferred[list[str]]:
        """Raise."""
        raise ZeroDivisionError


class MulticallTests(XMLRPCTestCase):
    """C{system.multicall}."""

    def multicall(self, *calls: tuple[str, list[Any]], service: IFingerService = USERS) -> Any:
        """Make several calls at once, and return their results and Faults."""
        structs = [{"methodName": name, "params": params} for name, params in calls]
        return self.call(MULTICALL, structs, service=service)

    def test_several(self) -> None:
        """Each call has its own result, in order."""
        answer = self.multicall(("getUser", ["moshez"]), ("getUsers", []), ("system.methodSignature", ["getUser"]))
        self.assertEqual(answer, [["Happy and well"], [["moshez", "zoë"]], [[["string", "string"]]]])
        self.assertEqual(self.multicall(), [])

    def test_client(self) -> None:
        """Python's client understands the answer."""
        caller: Any = _Caller(self)
        calls = MultiCall(caller)
        calls.getUser("moshez")
        calls.getUser("nobody")
        results = calls()
        self.assertEqual([results[0], results[1]], ["Happy and well", "No such user"])

    def test_faults(self) -> None:
        """A call that fails has a Fault of its own, and the others their results."""
        answers = self.multicall(("getUser", []), ("getNothing", ["x"]), ("getUser", [1]), ("getUser", ["moshez"]))
        self.assertEqual([answer["faultCode"] for answer in answers[:3]], [2, 8001, 2])
        self.assertEqual(answers[3], ["Happy and well"])
        broken = self.multicall(("getUser", ["moshez"]), ("getUsers", []), service=BrokenDouble(ListRefused()))
        self.assertEqual([answer["faultCode"] for answer in broken], [1, 1])
        self.assertEqual(broken[1]["faultString"], "Finger online user list denied")

    def test_inside(self) -> None:
        """A call in it must not be another one."""
        (answer,) = self.multicall((MULTICALL, [[]]))
        self.assertEqual(answer, {"faultCode": 2, "faultString": "system.multicall cannot call itself"})

    def test_most(self) -> None:
        """The number of calls is bounded."""
        calls = [("getUser", ["moshez"])] * MAX_CALLS
        self.assertEqual(self.multicall(*calls), [["Happy and well"]] * MAX_CALLS)
        self.assertFault(self.multicall(*calls, calls[0]), 2, "at most 16 calls")

    def test_wrong(self) -> None:
        """What is not a call is a Fault in its place; what is not an array is one for all."""
        wrong = [1, "x", [], {}, {"methodName": "getUsers"}, {"methodName": 1, "params": []}]
        for answer in self.call(MULTICALL, [*wrong, {"methodName": "getUser", "params": "moshez"}]):
            self.assertEqual(answer["faultCode"], 2)
            self.assertIn("is a struct with methodName", answer["faultString"])
        self.assertFault(self.call(MULTICALL, {"methodName": "getUsers", "params": []}), 2, "one array of calls")
        self.assertFault(self.call(MULTICALL), 2, "missing a required argument")

    def test_long(self) -> None:
        """The length of the answers is bounded, however many calls are left."""
        users = MemoryFingerService({f"user{number}": "x" * 65_000 for number in range(8)})
        calls = [("getUser", [f"user{number % 8}"]) for number in range(MAX_CALLS)]
        with patch("finger.adapters.xmlrpc.resource.MAX_ANSWERS", 8 * 65_000):
            answers = self.multicall(*calls, service=users)
        self.assertEqual([isinstance(answer, list) for answer in answers], [True] * 7 + [False] * 9)
        why = "the answers in system.multicall are too long; make this call by itself"
        self.assertEqual(answers[-1]["faultString"], why)

    def test_longList(self) -> None:
        """A list that is too long is refused, and the calls after it are answered."""
        users = MemoryFingerService({f"user{number}": "x" for number in range(100)})
        calls = [("getUsers", []), ("getUser", ["user1"]), ("getUsers", [])]
        with patch("finger.adapters.xmlrpc.resource.MAX_ANSWERS", 1000):
            first, second, third = self.multicall(*calls, service=users)
        self.assertEqual((first["faultCode"], second, third["faultCode"]), (1, ["x"], 1))
        self.assertEqual(len(self.call("getUsers", service=users)), 100)

    def test_rate(self) -> None:
        """Each call but the first counts towards the rate limit, and those above it fail, in their places."""
        for admitted in (0, 1, 3, 20):
            request: Any = _LimitedRequest(admitted)
            calls = [{"methodName": "getUser", "params": ["moshez"]}] * 5
            request.content = BytesIO(dumps((calls,), MULTICALL).encode())
            IXMLRPCResource(USERS).render(request)
            answers: Any = loads(b"".join(request.written))[0][0]
            self.assertEqual([isinstance(answer, list) for answer in answers], [n <= admitted for n in range(5)])
            for answer in answers[admitted + 1 :]:
                fault = {"faultCode": 1, "faultString": "too many calls, try again in 3 s"}
                self.assertEqual(answer, fault)
            self.assertEqual(request.refused, min(1, max(0, 4 - admitted)))

    def test_turns(self) -> None:
        """Each call has a turn of the reactor of its own, and one that waits does not delay the next."""
        clock, service = TurningClock(), SilentDouble()
        resource = FingerXMLRPC(service)
        resource.clock = clock
        request: Any = self.request(dumps(([{"methodName": "getUser", "params": ["x"]}] * 3,), MULTICALL).encode())
        resource.render(request)
        for number in range(1, 4):
            self.assertEqual(len(service.asked), number)
            clock.turn()
        for number, waiting in enumerate(service.asked):
            self.assertEqual(request.written, [])
            waiting.callback(str(number))
        self.assertEqual(loads(b"".join(request.written))[0][0], [["0"], ["1"], ["2"]])
        self.assertEqual(clock.getDelayedCalls(), [])


class _Caller:
    """A proxy of a server, as far as L{MultiCall} needs one."""

    def __init__(self, test: MulticallTests) -> None:
        self._test = test
        self.system = self

    def multicall(self, calls: list[Any]) -> Any:
        """Make several calls."""
        return self._test.call(MULTICALL, calls)


LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY l0 "ha">%s]>
<methodCall><methodName>getUser</methodName><params><param><value><string>&l30;</string></value></param></params>
</methodCall>""" % b"".join(b'<!ENTITY l%d "&l%d;&l%d;">' % (n, n - 1, n - 1) for n in range(1, 31))
