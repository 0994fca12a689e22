"""XML-RPC messages, as bytes and values."""

from __future__ import annotations

import codecs
import gc
import tracemalloc
from typing import Any
from xmlrpc.client import Fault, dumps

from twisted.trial.unittest import SynchronousTestCase

from finger.adapters.xmlrpc.messages import (
    BAD_CALL,
    MAX_DEPTH,
    MAX_VALUES,
    NO_NAME,
    Call,
    Other,
    formatFault,
    formatResponse,
    formatValue,
    parseCall,
)

CALL = "<methodCall><methodName>m</methodName><params>%s</params></methodCall>"
DOCUMENT_TYPES = (
    *("<!DOCTYPE methodCall>", "<!DOCTYPE m []>", "<!DOCTYPE m SYSTEM 'file:///etc/passwd'>"),
    *(
        "<!DOCTYPE m PUBLIC 'x' 'http://192.0.2.1/'>",
        "<!DOCTYPE m [<!ENTITY a 'ha'>]>",
        "<!DOCTYPE m [<!ENTITY % a 'b'> %a;]>",
    ),
    *(
        "<!DOCTYPE m [<!ATTLIST methodCall a CDATA 'b'>]>",
        "<!-- x --><!DOCTYPE\nm>",
        "<!DOCTYPE m [<!NOTATION n SYSTEM 's'>]>",
    ),
)


def parse(text: str, encoding: str = "utf-8") -> Call:
    """Parse a message."""
    return parseCall(text.encode(encoding))


def valueOf(text: str) -> Any:
    """Parse a call with one parameter, and return its value."""
    (value,) = parse(CALL % f"<param>{text}</param>").params
    return value


class ParserTestCase(SynchronousTestCase):
    """A test case with messages that must be refused."""

    def assertRefused(self, *messages: str | bytes) -> None:
        """Check that messages are not calls."""
        for message in messages:
            data = message if isinstance(message, bytes) else message.encode()
            fault = self.assertRaises(Fault, parseCall, data)
            self.assertEqual((fault.faultCode, fault.faultString), (2, "this is not an XML-RPC call"))


class ParserTests(ParserTestCase):
    """Parsing calls."""

    def test_calls(self) -> None:
        """The calls of Python's client are parsed, with or without a declaration."""
        for start in ("", "<?xml version='1.0'?>", "\ufeff", "\ufeff<?xml version='1.0' encoding='UTF-8'?>"):
            call = parse(
                start
                + dumps(("zoë", ["a", ["b"]], {"c": "d", "": []}), "getUser").removeprefix("<?xml version='1.0'?>\n")
            )
            self.assertEqual(call, Call("getUser", ("zoë", ["a", ["b"]], {"c": "d", "": []})))
        self.assertEqual(parse("<methodCall><methodName>m</methodName></methodCall>"), Call("m", ()))
        self.assertEqual(parse(CALL % ""), Call("m", ()))

    def test_text(self) -> None:
        """A value without a type is a text, with its references and CDATA, and without blanks around elements."""
        for text in (
            "a&lt;b",
            "<string>a<![CDATA[<]]>b</string>",
            "\n <string>a&#60;b</string>\t",
            "a<!-- x -->&#x3C;b",
        ):
            self.assertEqual(valueOf(f"<value>{text}</value>"), "a<b")
        self.assertEqual(valueOf("<value/>"), "")
        self.assertEqual(valueOf("<value xmlns:ex='x'> <string a='b'/> </value>"), "")

    def test_others(self) -> None:
        """Values of other types are kept as they are sent."""
        for kind in ("int", "i4", "i8", "boolean", "double", "dateTime.iso8601", "base64", "nil"):
            self.assertEqual(valueOf(f"<value><{kind}>9e5000</{kind}></value>"), Other(kind, "9e5000"))

    def test_notCalls(self) -> None:
        """Anything else is not a call."""
        value = "<value>x</value>"
        self.assertRefused(
            b"", b" ", b"<", b"\xff", b"no call", "<methodCall/>", "<methodCall>", "<x/>", "<methodCall></x>"
        )
        self.assertRefused(
            "<methodResponse/>", "<methodResponse><fault/></methodResponse>", "<params/>", CALL % "" * 2
        )
        for params in (
            *(
                "<param/>",
                value,
                "text<param/>",
                f"<param>{value}{value}</param>",
                f"<x>{value}</x>",
                "&x;",
                "&#0;",
                "&#27;",
            ),
            *(
                f"<param><value>{inner}</value></param>"
                for inner in (
                    *(
                        "<x/>",
                        "<array/>",
                        "<array><data/><data/></array>",
                        f"<array>{value}</array>",
                        "<string><string/></string>",
                    ),
                    *(
                        "<struct><member/></struct>",
                        f"<struct><member>{value}</member></struct>",
                        "<string/><string/>",
                    ),
                    *(
                        "<struct><member><name>a</name></member></struct>",
                        f"<struct><member><name/><name/>{value}</member></struct>",
                    ),
                )
            ),
        ):
            self.assertRefused(CALL % params)
        name = "<methodName>m</methodName>"
        for inner in (name * 2, f"{name}<params/><params/>", f"{name}<x/>", "<methodName><x/></methodName>"):
            self.assertRefused(f"<methodCall>{inner}</methodCall>")

    def test_noName(self) -> None:
        """Parameters without a method's name are an error of their own."""
        for message in (dumps(("x",), methodresponse=True), "<methodCall><params></params></methodCall>"):
            fault = self.assertRaises(Fault, parse, message)
            self.assertEqual((fault.faultCode, fault.faultString), (BAD_CALL, NO_NAME))

    def test_documentType(self) -> None:
        """A message with a document type is refused, whatever is in it, before any entity is declared."""
        for start in ("", "<?xml version='1.0'?>", "<?xml version='1.0' standalone='yes'?>\n", "\ufeff"):
            for kind in DOCUMENT_TYPES:
                self.assertRefused(start + kind + CALL % "")

    def test_depth(self) -> None:
        """The depth of values is bounded, in arrays and structs alike."""
        array, struct = "<array><data>%s</data></array>", "<struct><member><name>a</name>%s</member></struct>"
        for outer in (array, struct):
            text = "<value/>"
            for _ in range(MAX_DEPTH - 1):
                text = f"<value>{outer % text}</value>"
            valueOf(text)
            self.assertRefused(CALL % f"<param><value>{outer % text}</value></param>")

    def test_number(self) -> None:
        """The number of values is bounded, and each list counts as well."""
        param = "<param><value/></param>"
        self.assertEqual(len(parse(CALL % (param * MAX_VALUES)).params), MAX_VALUES)
        self.assertRefused(CALL % (param * (MAX_VALUES + 1)))
        self.assertRefused(
            CALL % f"<param><value><array><data>{'<value/>' * MAX_VALUES}</data></array></value></param>"
        )


class EncodingTests(ParserTestCase):
    """Character encodings."""

    def test_known(self) -> None:
        """UTF-8, ASCII and Latin-1 are decoded, in any spelling of the declaration."""
        declaration = "<?xml version='1.0' encoding='%s'?>"
        for name, encoding in (
            ("UTF-8", "utf-8"),
            ("utf8", "utf-8"),
            ("ISO-8859-1", "latin-1"),
            ("latin1", "latin-1"),
        ):
            self.assertEqual(parse(declaration % name + CALL.replace(">m<", ">ë<") % "", encoding).method, "ë")
        for ascii in ("US-ASCII", "ascii"):
            self.assertEqual(parse(declaration % ascii + CALL % "").method, "m")
            self.assertRefused(declaration % ascii + CALL.replace(">m<", ">ë<") % "")
        for spelling in (
            '<?xml\tversion = "1.0"\n encoding\r\n=\t"iso-8859-1" standalone="no" ?>',
            "<?xml version='1.0' encoding='ISO-8859-1' standalone = 'yes'?>",
        ):
            self.assertEqual(parse(spelling + CALL.replace(">m<", ">ë<") % "", "latin-1").method, "ë")

    def test_unknown(self) -> None:
        """Any other encoding is refused, and Python is never asked for its codec."""
        asked: list[str] = []
        codecs.register(asked.append)
        self.addCleanup(codecs.unregister, asked.append)
        for number in range(100):
            for name in (f"x-{number}", f"utf-7.{number}", f"cp{9000 + number}"):
                for quote in "'\"":
                    self.assertRefused(f"<?xml version={quote}1.0{quote} encoding={quote}{name}{quote}?>" + CALL % "")
        for name in ("utf-16", "UTF-7", "utf-32", "cp037", "idna", "rot13", "hex", "UCS-4", "KOI8-R", "windows-1252"):
            self.assertRefused(f"<?xml version='1.0' encoding='{name}'?>" + CALL % "")
        self.assertEqual(asked, [])

    def test_leak(self) -> None:
        """A thousand names of encodings take no memory."""
        messages = [f"<?xml version='1.0' encoding='x-{number}'?>{CALL}" % "" for number in range(1010)]
        self.assertRefused(*messages[:10])
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before = tracemalloc.get_traced_memory()[0]
        self.assertRefused(*messages[10:])
        gc.collect()
        self.assertLess(tracemalloc.get_traced_memory()[0] - before, 64 * 1024)

    def test_declarations(self) -> None:
        """A declaration that XML does not allow is refused."""
        for declaration in (
            *(
                "<?xml ?>",
                "<?xml encoding='utf-8'?>",
                "<?xml version='1.0' encoding=utf-8?>",
                "<?xml version='1.0' encoding=''?>",
            ),
            *(
                "<?xml version='1.0'encoding='utf-8'?>",
                "<?xml version='1.0' encoding='utf-8\"?>",
                "<?xml version='1.0' x='y'?>",
            ),
            *(
                "<?xml version='1.0' encoding='utf-8' encoding='utf-7'?>",
                "<?xml version='2'?>",
                " <?xml version='1.0'?>",
            ),
            *(
                "<?xml version='1.0'?><?xml version='1.0'?>",
                "<?xml version='1.0' encoding='utf-8'",
                "<?xml\0version='1.0'?>",
            ),
        ):
            self.assertRefused(declaration + CALL % "")
        self.assertEqual(parse("<?xml-stylesheet x?><?xmlx encoding='utf-7'?>" + CALL % ""), Call("m", ()))

    def test_marks(self) -> None:
        """A message in UTF-16 or UTF-32 is refused, with a byte order mark or without, and whatever it declares."""
        for declaration in (
            "",
            "<?xml version='1.0'?>",
            "<?xml version='1.0' encoding='utf-16'?>",
            "<?xml version='1.0' encoding='iso-8859-1'?>",
        ):
            for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7"):
                message = (declaration + CALL % "").encode(encoding)
                if encoding != "utf-7":
                    self.assertRefused(message)
        mark = b"\xef\xbb\xbf"
        for name in ("iso-8859-1", "us-ascii"):
            self.assertRefused(mark + f"<?xml version='1.0' encoding='{name}'?>{CALL % ''}".encode())
        for start in (b"\xfe\xff", b"\xff\xfe", b"\0", mark * 2):
            self.assertRefused(start + (CALL % "").encode())
            self.assertRefused(b"<?xml version='1.0' encoding='latin-1'?>" + start + (CALL % "").encode())

    def test_invalid(self) -> None:
        """Bytes that are not UTF-8 are refused, and so are surrogates and long forms."""
        for data in (b"\xff", b"\xc0\xbc", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3"):
            self.assertRefused((CALL % "").encode().replace(b"m<", data + b"<"))


class FormatTests(SynchronousTestCase):
    """Formatting answers."""

    def test_values(self) -> None:
        """Values are formatted as Python's server does."""
        values: list[Any] = ["", "a<b>&amp;\n'\"", "zoë", 8001, [], ["a", [1]], {}, {"a": ["b"], "c": {"d": 2}}]
        for value in values:
            self.assertEqual(formatResponse(value), dumps((value,), methodresponse=True).encode())

    def test_faults(self) -> None:
        """Faults, too."""
        fault = Fault(2, "what <is> wrong")
        self.assertEqual(formatFault(fault), dumps(fault, methodresponse=True).encode())

    def test_formatted(self) -> None:
        """A value that is formatted is not formatted again."""
        self.assertEqual(formatValue([formatValue("a"), "b"]), formatValue(["a", "b"]))
