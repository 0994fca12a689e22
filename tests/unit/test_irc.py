"""Tests of the IRC bot: its answers, its rate limits, and its reconnections."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from itertools import pairwise
from subprocess import check_output
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

import finger
from finger.adapters.irc import bot as irc
from finger.adapters.irc import client as _ircclient
from finger.adapters.irc import service as ircservice
from finger.adapters.irc.bot import HELP, IRCBotFactory
from finger.adapters.irc.messages import (
    Features,
    Message,
    ctcpCommand,
    cut,
    firstLines,
    formatMessage,
    otherNicknames,
    parseMessage,
    plain,
    wrap,
)
from finger.adapters.irc.outbox import ANSWERS, ANSWERS_PER_SENDER, BURST, LINE_INTERVAL, Outbox
from finger.adapters.irc.service import BackoffPolicy, checkChannel, checkNickname, ircEndpoint, ircService
from finger.adapters.irc.writer import MAX_HELD, READ_WITHIN
from finger.backends.memory import MemoryFingerService
from finger.errors import ConfigError, ForwardingRefused
from finger.interfaces import IFingerService, IIRCClientFactory
from finger.testing import BrokenDouble, SilentDouble
from tests.support.doubles import FullTransport
from tests.support.tools import ROOT
from tests.support.typed import asType, notNone

USERS = {"moshez": "Happy and well", "Zoë Q": "☃ Grüße"}


class WireTests(SynchronousTestCase):
    """Parsing and formatting."""

    def test_parse(self) -> None:
        """A line is parsed into its parts."""
        self.assertEqual(
            parseMessage(b":moshez!m@example.org PRIVMSG  #twisted ::) hello: you \r\n"),
            Message(
                "PRIVMSG", ("#twisted", ":) hello: you "), "moshez!m@example.org", nick="moshez", host="example.org"
            ),
        )
        self.assertEqual(parseMessage(b"PING :x"), Message("PING", ("x",)))
        self.assertEqual(parseMessage(b":irc.example.org 001 a"), Message("001", ("a",), "irc.example.org"))
        self.assertEqual(parseMessage(b"@time=1;x=y :s quit"), Message("QUIT", (), "s"))

    def test_parseNonsense(self) -> None:
        """An invalid line gives None, and a missing parameter is empty."""
        for line in (b"", b" ", b":", b":x", b"1", b"12345", b"P\0NG", b"PING a\rb", b":a b\0 c", b"\xff"):
            self.assertIsNone(parseMessage(line), line)
        self.assertEqual(Message("X", ("a",)).param(1), "")

    def test_parseBytes(self) -> None:
        """Bytes that are not UTF-8 become replacement characters."""
        message = parseMessage(b"PRIVMSG x :\xff\xe9")
        assert message is not None
        self.assertEqual(message.param(1), "\ufffd\ufffd")

    def test_format(self) -> None:
        """A line is formatted from its parts."""
        self.assertEqual(formatMessage("NOTICE", "#x", "two words"), b"NOTICE #x :two words\r\n")

    def test_formatIsOneLine(self) -> None:
        """Parameters cannot end a line, and an overlong line is cut."""
        self.assertEqual(formatMessage("NOTICE", "x", "a\r\nQUIT\0\n"), b"NOTICE x :a  QUIT  \r\n")
        long = formatMessage("NOTICE", "x", "☃" * 512)
        self.assertTrue(510 <= len(long) <= 512)
        long.decode("utf-8")

    def test_cut(self) -> None:
        """A text is cut at the end of a character."""
        self.assertEqual([cut("a☃b", limit) for limit in range(6)], ["", "a", "a", "a", "a☃", "a☃b"])

    def test_wrap(self) -> None:
        """Lines break at spaces where possible, and blank lines are dropped."""
        self.assertEqual(wrap("a\n\n \n\tb  \n", 10), ["a", "        b"])
        self.assertEqual(wrap("the quick brown fox", 10), ["the quick", "brown fox"])
        self.assertEqual(wrap("quick brown", 9), ["quick", "brown"])
        self.assertEqual(wrap("x quickbrownfox", 9), ["x quickbr", "ownfox"])
        self.assertEqual(wrap("☃☃☃", 7), ["☃☃", "☃"])
        self.assertEqual(wrap("", 9), [])
        self.assertEqual(wrap(" " * 20 + "x", 9), ["x"])

    def test_firstLines(self) -> None:
        """The remaining lines are counted."""
        self.assertEqual(firstLines(["a"] * 5), ["a"] * 5)
        self.assertEqual(firstLines(["a"] * 6), ["a"] * 5 + ["... 1 more line"])
        self.assertEqual(firstLines(["a"] * 9), ["a"] * 5 + ["... 4 more lines"])

    def test_plain(self) -> None:
        """Formatting codes are removed, but not digits that belong to the text."""
        self.assertEqual(plain(" \x0304,12mo\x03\x02sh\x02\x1d\x1f\x16\x11\x1eez\x0f "), "moshez")
        self.assertEqual(plain("\x04ff0000,00FF00x\x04 \x03,5"), "x ,5")
        self.assertEqual(plain("\x031234"), "34")

    def test_ctcp(self) -> None:
        """A CTCP request begins with a mark; the mark at its end is optional."""
        self.assertEqual(ctcpCommand("\x01finger\x01"), "FINGER")
        self.assertEqual(ctcpCommand("\x01VERSION x"), "VERSION")
        self.assertEqual(ctcpCommand("VERSION"), "")

    def test_features(self) -> None:
        """Valid features are used, and invalid ones ignored."""
        features = Features().updated(["CASEMAPPING=ASCII", "CHANTYPES=#", "NICKLEN=30", "SAFELIST", "X=a=b"])
        self.assertEqual(features, Features("ascii", "#", 30))
        for wrong in ("NICKLEN=", "NICKLEN=x", "NICKLEN=0", "NICKLEN=-1", "NICKLEN=²", ""):
            self.assertEqual(features.updated([wrong]), features)

    def test_casemapping(self) -> None:
        """Names are compared by the server's rule."""
        self.assertTrue(Features().same("Mo[\\]~", "mO{|}^"))
        self.assertTrue(Features("strict-rfc1459").same("A[\\]~", "a{|}~"))
        self.assertFalse(Features("strict-rfc1459").same("~", "^"))
        for mapping in ("ascii", "rfc7613"):
            self.assertTrue(Features(mapping).same("MOSHEZ", "moshez"))
            self.assertFalse(Features(mapping).same("[", "{"))

    def test_isChannel(self) -> None:
        """A channel is recognised by its first character."""
        self.assertEqual(
            [n for n in ("#a", "&a", "a", "", "@#a", "$*") if Features().isChannel(n)],
            ["#a", "&a"],
        )

    def test_addressed(self) -> None:
        """A message is addressed to the bot if it begins with the bot's nickname and a colon or comma."""
        for text in ("bot[1]: me", "bot[1], me", "BOT{1}:me", "bot[1]:  me "):
            self.assertEqual(Features().addressed(text, "bot[1]"), "me")
        for text in ("me", "bot[1]", "bot[1]:", "bot[1] me", "bot[11]: me", "a bot[1]: me", "bot[1]; me"):
            self.assertEqual(Features().addressed(text, "bot[1]"), "")

    def test_otherNicknames(self) -> None:
        """Alternatives are distinct, valid and finite: first similar ones, then short ones, then generic ones."""
        names = list(otherNicknames("fingerbot"))
        self.assertEqual(names[:4], ["fingerbot_", "fingerbot__", "fingerbo1", "fingerbo2"])
        self.assertEqual((names[11], names[-1]), ("fingerb10", "finger9"))
        self.assertTrue(all(len(name) <= 9 for name in names[2:]))
        self.assertEqual(len(set(names)), len(names))
        for name in names:
            checkNickname(name)


class TimingTests(SynchronousTestCase):
    """The outbox and the timers."""

    def setUp(self) -> None:
        """Make an outbox that records the lines sent."""
        self.clock = Clock()
        self.sent: list[bytes] = []
        self.outbox = Outbox(self.clock, self.sent.append)

    def takeSent(self) -> bytes:
        """Return the lines sent since the last call."""
        sent = b"".join(self.sent)
        self.sent.clear()
        return sent

    def test_burst(self) -> None:
        """Some lines are sent at once, and the rest at the server's rate, in order."""
        self.outbox.put("a", [b"%d" % n for n in range(BURST + 3)])
        self.assertEqual(self.takeSent(), b"0123")
        self.clock.advance(LINE_INTERVAL)
        self.assertEqual(self.takeSent(), b"4")
        self.clock.pump([LINE_INTERVAL] * 2)
        self.assertEqual(self.takeSent(), b"56")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_turns(self) -> None:
        """Senders take turns, one answer each, and answers are not interleaved."""
        self.outbox.put("x", [b"." for _ in range(BURST)])
        self.takeSent()
        for sender in (b"a", b"a", b"a", b"b"):
            self.outbox.put(sender.decode(), [sender, sender])
        self.clock.pump([LINE_INTERVAL] * 8)
        self.assertEqual(self.takeSent(), b"aabbaaaa")

    def test_now(self) -> None:
        """An urgent line is sent at once, and delays the others."""
        for _ in range(BURST + 1):
            self.outbox.sendNow(b"!")
        self.assertEqual(self.takeSent(), b"!!!!!")
        self.outbox.put("a", [b"a"])
        self.clock.advance(LINE_INTERVAL)
        self.assertEqual(self.takeSent(), b"")
        self.clock.advance(LINE_INTERVAL)
        self.assertEqual(self.takeSent(), b"a")

    def test_bounds(self) -> None:
        """The number of pending answers is limited for each sender, and in total."""
        self.outbox.put("x", [b"." for _ in range(BURST)])
        self.assertEqual([self.outbox.reserve("a") for _ in range(ANSWERS_PER_SENDER + 1)], [True, True, True, False])
        others = [self.outbox.reserve(str(n)) for n in range(ANSWERS)]
        self.assertEqual(others.count(True), ANSWERS - ANSWERS_PER_SENDER)
        for _ in range(ANSWERS_PER_SENDER):
            self.outbox.put("a", [b"a"])
        self.clock.advance(LINE_INTERVAL)
        self.assertTrue(self.outbox.reserve("a"))
        self.assertFalse(self.outbox.reserve("a"))

    def test_nothing(self) -> None:
        """An answer without lines sends nothing."""
        self.outbox.put("a", [])
        self.assertEqual(self.sent, [])

    def test_close(self) -> None:
        """A closed outbox sends nothing and leaves no timer."""
        self.outbox.put("a", [b"a"] * (BURST + 1))
        self.outbox.put("a", [b"a"])
        self.outbox.close()
        self.outbox.put("a", [b"b"])
        self.outbox.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.takeSent(), b"aaaa")


class BotTestCase(SynchronousTestCase):
    """A bot on a connection."""

    nickname = "fingerbot"
    channels: tuple[str, ...] = ("#twisted",)
    transportType: Callable[[], StringTransport] = StringTransport

    def setUp(self) -> None:
        """Connect a bot, and complete its registration."""
        self.service: Any = MemoryFingerService(USERS)
        self.connect()
        self.welcome()

    def connect(self) -> None:
        """Make a bot, and connect it."""
        self.clock = Clock()
        factory = asType(IRCBotFactory, IIRCClientFactory(self.service))
        factory.clock = self.clock
        factory.nickname = self.nickname
        factory.channels = self.channels
        self.welcomes: list[None] = []
        factory.welcomed = lambda: self.welcomes.append(None)
        self.bot: Any = notNone(factory.buildProtocol(None))
        self.transport: Any = self.transportType()
        self.bot.makeConnection(self.transport)

    def welcome(self, nickname: str = nickname) -> None:
        """Complete the registration as the server, and give the bot time to join."""
        self.server(f":irc.example.org 001 {nickname} :Welcome")
        self.clock.advance(20)
        self.transport.clear()

    def server(self, *lines: str) -> None:
        """Send lines as the server."""
        for line in lines:
            self.bot.dataReceived(line.encode() + b"\r\n")

    def say(self, text: str, target: str = nickname, nick: str = "joe", host: str = "example.net") -> None:
        """Send a message as a user."""
        self.server(f":{nick}!u@{host} PRIVMSG {target} :{text}")

    def sent(self) -> list[str]:
        """Return the lines that the bot has sent since the last call."""
        value = asType(bytes, self.transport.value()).decode()
        self.transport.clear()
        self.assertTrue(value.endswith("\r\n") or not value)
        for line in value.split("\r\n"):
            self.assertNotRegex(line, "[\r\n\0]")
            self.assertLessEqual(len(line.encode()), 510)
        return value.split("\r\n")[:-1]

    def told(self, text: str, **where: str) -> list[str]:
        """Send a message as a user, and return the bot's answer."""
        self.say(text, **where)
        self.clock.pump([LINE_INTERVAL] * 6)
        return self.sent()


class UnreadTests(BotTestCase):
    """A server that does not read what the bot sends."""

    transportType = FullTransport

    def flood(self, *lines: str) -> None:
        """Send lines many times without reading; what the bot holds stays bounded."""
        for _ in range(20_000 // len(lines)):
            self.server(*lines)
        self.assertLess(len(self.transport.value()), FullTransport.MOST + MAX_HELD + 512)

    def test_pings(self) -> None:
        """Answers to pings are dropped once the transport is full, and after a while the connection is closed."""
        self.flood("PING :" + "x" * 100)
        self.assertGreater(len(self.transport.value()), FullTransport.MOST)
        self.clock.advance(READ_WITHIN - 1)
        self.flood("PING :x")
        self.assertFalse(self.transport.isAborted)
        with capturedLogs() as events:
            self.clock.advance(1)
        self.assertTrue(self.transport.isAborted)
        self.assertEqual(events[0]["reason"], "the server does not read what is sent to it")
        self.bot.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reads(self) -> None:
        """When the server reads, the bot answers again, and the connection stays."""
        for _ in range(3):
            self.flood("PING :x")
            self.transport.readAll()
            self.server("PING :again")
            self.assertEqual(self.sent(), ["PONG :again"])
            self.clock.advance(READ_WITHIN - 1)
        self.assertFalse(self.transport.isAborted)

    def test_others(self) -> None:
        """All other lines that a server can provoke are bounded, too, and so are those that wait to be sent."""
        welcome = ":irc.example.org 001 fingerbot :Welcome"
        kick = ":op!o@h KICK #twisted fingerbot :Out"
        nick, question = ":fingerbo!x@h QUIT", ":joe!u@example.net PRIVMSG fingerbot :moshez"
        self.flood(welcome, kick, nick, ":irc.example.org 433 * fingerbot", question, "PING :x")
        self.assertEqual(len(self.welcomes), 1)
        for _ in range(50):
            self.server(kick)
            self.clock.advance(_ircclient.REJOIN_AFTER)
        waiting = sum(len(answers) for answers in self.bot.outbox._waiting.values())
        self.assertLessEqual(waiting, ANSWERS + len(self.channels))


class AskTests(BotTestCase):
    """Queries and their answers."""

    def test_private(self) -> None:
        """A private message with a name is answered in private."""
        self.assertEqual(self.told("moshez"), ["NOTICE joe :Status of moshez: Happy and well"])

    def test_channel(self) -> None:
        """In a channel the bot answers only messages addressed to it, and answers in the channel."""
        for text in ("fingerbot: moshez", "FINGERBOT, moshez", "\x02fingerbot\x02: moshez"):
            self.assertEqual(
                self.told(text, target="#twisted"), ["NOTICE #twisted :Status of moshez: Happy and well"]
            )
        for text in (
            "moshez",
            "fingerbot",
            "fingerbot:",
            "I like fingerbot: moshez",
            "\x01ACTION fingerbot: moshez\x01",
        ):
            self.assertEqual(self.told(text, target="#twisted"), [])

    def test_casemapping(self) -> None:
        """The bot recognises its nickname by the server's rule."""
        self.server(":irc.example.org 005 fingerbot NICKLEN=30 CASEMAPPING=rfc1459 :are supported")
        self.server(":fingerbot!u@h NICK :bot[x]")
        self.assertEqual(len(self.told("moshez", target="BOT{X}")), 1)
        self.assertEqual(len(self.told("Bot{x}: moshez", target="#twisted")), 1)

    def test_unknown(self) -> None:
        """An unknown user gets "No such user"."""
        self.assertEqual(self.told("nobody"), ["NOTICE joe :Status of nobody: No such user"])

    def test_unicode(self) -> None:
        """Names and statuses may contain any characters, including spaces."""
        self.assertEqual(self.told(" Zoë Q "), ["NOTICE joe :Status of Zoë Q: ☃ Grüße"])

    def test_formatting(self) -> None:
        """Formatting codes in a query are ignored."""
        self.assertEqual(self.told("\x0304,01mo\x02shez\x0f"), ["NOTICE joe :Status of moshez: Happy and well"])
        self.assertEqual(self.told("\x02 \x0f"), [])

    def test_controls(self) -> None:
        """Control characters are replaced in names and statuses, and cannot begin a new line."""
        self.service = MemoryFingerService({"a": "\x1b]0;x\x07\x0304red\x01 \u202e\r\nQUIT :bye\rJOIN\0"})
        self.connect()
        self.welcome()
        self.assertEqual(
            self.told("a"),
            ["NOTICE joe :Status of a: ?]0;x??04red? ?", "NOTICE joe :QUIT :bye", "NOTICE joe :JOIN?"],
        )
        self.assertEqual(self.told("\x1b[2J\x9b\u202ex"), ["NOTICE joe :Status of ?[2J??x: No such user"])

    def test_longName(self) -> None:
        """An overlong unknown name is cut in the answer."""
        (line,) = self.told("é" * 180)
        self.assertEqual(line, f"NOTICE joe :Status of {'é' * 50}: No such user")

    def test_help(self) -> None:
        """Help is sent for "help" and "list", unless they are users."""
        for text in ("help", "HELP", "list"):
            self.assertEqual(self.told(text), [f"NOTICE joe :{HELP.format(nickname='fingerbot')}"])
        self.service = MemoryFingerService({"help": "I am here"})
        self.connect()
        self.welcome()
        self.assertEqual(self.told("help"), ["NOTICE joe :Status of help: I am here"])

    def test_broken(self) -> None:
        """A failure of the back end is logged, and reported without details."""
        for error in (None, RuntimeError("secret"), ZeroDivisionError()):
            self.service = BrokenDouble(error)
            self.connect()
            self.welcome()
            self.assertEqual(self.told("moshez"), ["NOTICE joe :Status of moshez: Internal error in server"])
            self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.assertEqual(self.told("help"), ["NOTICE joe :Status of help: Internal error in server"])
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_rude(self) -> None:
        """The bot survives a back end that breaks its contract."""

        @implementer(IFingerService)
        class Rude:
            def getUser(self, user: str) -> Any:
                return succeed(None) if user == "a" else 1 // 0

            def getUsers(self) -> Any:
                """Do nothing."""

        self.service = Rude()
        self.connect()
        self.welcome()
        for name in ("a", "b") * 3:
            self.assertEqual(self.told(name), [f"NOTICE joe :Status of {name}: Internal error in server"])
        self.assertEqual(len(self.flushLoggedErrors()), 6)

    def test_forwarding(self) -> None:
        """A query with a host is passed to the back end."""
        self.service = BrokenDouble(ForwardingRefused("example.org"))
        self.connect()
        self.welcome()
        self.assertEqual(
            self.told("moshez@example.org"),
            ["NOTICE joe :Status of moshez@example.org: Finger forwarding service denied"],
        )

    def test_log(self) -> None:
        """Queries are logged with control characters escaped."""
        with capturedLogs() as events:
            self.told("a\x1bb")
        (event,) = [event for event in events if "query" in event]
        self.assertEqual(
            (event["peer"], event["query"], event["outcome"]), ("joe!u@example.net", "a\x1bb", "NoSuchUser")
        )
        self.assertIn("{query!r}", event["log_format"])

    def test_notAnswered(self) -> None:
        """Notices, and messages from servers, from the bot itself or to others, are not answered."""
        self.server(
            ":joe!u@h NOTICE fingerbot :moshez",
            ":joe!u@h NOTICE fingerbot :\x01VERSION x\x01",
            ":joe!u@h NOTICE #twisted :fingerbot: moshez",
            ":irc.example.org PRIVMSG fingerbot :moshez",
            "PRIVMSG fingerbot :moshez",
            ":fingerbot!u@h PRIVMSG fingerbot :moshez",
            ":FingerBot!u@h PRIVMSG #twisted :fingerbot: moshez",
            ":joe!u@h PRIVMSG $$*.org :moshez",
            ":joe!u@h PRIVMSG $$*.org :\x01VERSION\x01",
            ":joe!u@h PRIVMSG @#twisted :fingerbot: moshez",
            ":joe!u@h PRIVMSG somebody :moshez",
            ":joe!u@h PRIVMSG fingerbot :",
            ":joe!u@h PRIVMSG fingerbot",
            ":joe!u@h PRIVMSG",
            ":joe!u@h WALLOPS :moshez",
            "\0",
            "",
        )
        self.clock.advance(30)
        self.assertEqual(self.sent(), [])
        self.assertFalse(self.transport.disconnecting)

    def test_manyLines(self) -> None:
        """A long plan is cut, and sent at the server's rate."""
        self.service = MemoryFingerService({"a": "\n\n".join(f"line {n}" for n in range(1, 10))})
        self.connect()
        self.welcome()
        self.say("a")
        self.assertEqual(
            self.sent(), ["NOTICE joe :Status of a: line 1"] + [f"NOTICE joe :line {n}" for n in (2, 3, 4)]
        )
        self.clock.pump([LINE_INTERVAL] * 9)
        self.assertEqual(self.sent(), ["NOTICE joe :line 5", "NOTICE joe :... 4 more lines"])

    def test_longLine(self) -> None:
        """A notice arrives complete and in valid UTF-8, even with the longest prefix the server may add."""
        self.service = MemoryFingerService({"a": "☃" * 300})
        self.connect()
        self.welcome()
        lines = self.told("a", target="#twisted", nick="n" * 30)
        lines = self.told("fingerbot: a", target="#twisted")
        self.assertEqual("".join(line.partition(" :")[2] for line in lines), f"Status of a: {'☃' * 300}")
        for line in lines:
            relayed = f":fingerbot!{'u' * 20}@{'h' * 63} {line}\r\n".encode()
            self.assertLessEqual(len(relayed), 512)

    def test_hugeTarget(self) -> None:
        """Even an absurdly long channel name leaves room for some text."""
        self.server(f":joe!u@h PRIVMSG #{'x' * 450} :fingerbot: moshez")
        (line,) = self.sent()
        self.assertTrue(line.endswith(" :Status of moshez: Happy and well"))

    def test_flood(self) -> None:
        """A user that floods the bot gets a limited number of answers, and does not delay those of others."""
        for _ in range(200):
            self.say("moshez", nick="mallory", host="evil.example")
        self.say("moshez", nick="joe", host="example.net")
        self.clock.pump([LINE_INTERVAL] * 20)
        lines = self.sent()
        self.assertEqual(len(lines), BURST + ANSWERS_PER_SENDER + 1)
        self.assertIn("joe", lines[BURST + 1])

    def test_slowFlood(self) -> None:
        """The number of queries waiting for a slow back end is limited."""
        self.service = SilentDouble()
        self.connect()
        self.welcome()
        for n in range(200):
            self.say("moshez", host=f"{n}.example")
        self.assertEqual(len(self.service.asked), ANSWERS)

    def test_slow(self) -> None:
        """Each answer goes to its sender, in whatever order they arrive."""
        self.service = SilentDouble()
        self.connect()
        self.welcome()
        self.say("a", nick="one")
        self.say("b", nick="two")
        self.service.asked[1].callback("2")
        self.service.asked[0].callback("1")
        self.assertEqual(self.sent(), ["NOTICE two :Status of b: 2", "NOTICE one :Status of a: 1"])

    def test_tooLate(self) -> None:
        """An answer that arrives after the connection is lost is dropped."""
        self.service = SilentDouble()
        self.connect()
        self.welcome()
        self.say("a")
        self.say("b")
        self.bot.connectionLost(Failure(ConnectionLost()))
        self.service.asked[0].callback("1")
        self.service.asked[1].errback(ForwardingRefused())
        self.assertEqual(self.sent(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class CTCPTests(BotTestCase):
    """CTCP requests."""

    def test_version(self) -> None:
        """VERSION gives the program's name and version."""
        self.assertEqual(self.told("\x01VERSION\x01"), [f"NOTICE joe :\x01VERSION finger {finger.__version__}\x01"])

    def test_finger(self) -> None:
        """FINGER gives the help text."""
        self.assertEqual(
            self.told("\x01FINGER\x01"), [f"NOTICE joe :\x01FINGER {HELP.format(nickname='fingerbot')}\x01"]
        )

    def test_others(self) -> None:
        """Other requests, and requests to channels, are not answered."""
        for text in ("\x01", "\x01\x01", "\x01ACTION moshez\x01", "\x01PING 1\x01", '\x01DCC SEND "\x01'):
            self.assertEqual(self.told(text), [])
        self.assertEqual(self.told("\x01VERSION\x01", target="#twisted"), [])

    def test_flood(self) -> None:
        """Answers to a flood of requests are limited."""
        for n in range(50):
            self.say("\x01VERSION\x01", host=f"{n}.example")
        self.clock.advance(30)
        self.assertEqual(len(self.sent()), irc.CTCP_BURST)
        self.assertEqual(len(self.told("\x01VERSION\x01")), 1)

    def test_floodOfOne(self) -> None:
        """Requests count towards the sender's limit of queries."""
        for _ in range(ANSWERS_PER_SENDER):
            self.assertTrue(self.bot.outbox.reserve("example.net"))
        self.assertEqual(self.told("\x01VERSION\x01"), [])


class ConnectionTests(BotTestCase):
    """Registration, keep-alive, and loss of the connection."""

    def setUp(self) -> None:
        """Connect a bot that is not registered yet."""
        self.service = MemoryFingerService(USERS)
        self.connect()

    def test_login(self) -> None:
        """The bot registers, waits for the server's welcome, and joins its channels."""
        self.assertEqual(self.sent(), ["NICK :fingerbot", "USER finger 0 * :a finger service"])
        self.server("NOTICE * :*** Looking up your hostname")
        self.assertEqual(self.sent(), [])
        self.server(":irc.example.org 001 fingerbot :Welcome")
        self.assertEqual(self.sent(), ["JOIN :#twisted"])
        self.assertEqual(len(self.welcomes), 1)
        self.server(":fingerbot!u@h JOIN #twisted", ":joe!u@h JOIN #twisted")
        self.assertEqual(self.sent(), [])

    def test_ping(self) -> None:
        """The bot answers the server's pings, also during registration."""
        self.sent()
        self.server("PING :a b", "PING")
        self.assertEqual(self.sent(), ["PONG :a b", "PONG :"])

    def test_latin1(self) -> None:
        """Bytes that are not UTF-8 do not break the connection."""
        self.welcome()
        self.bot.dataReceived(b":joe!u@h PRIVMSG fingerbot :\xe9\n")
        self.assertEqual(self.sent(), ["NOTICE joe :Status of \ufffd: No such user"])

    def test_unwelcome(self) -> None:
        """If registration takes too long, the bot disconnects, whatever else the server sends."""
        for _ in range(7):
            self.server("NOTICE * :please wait")
            self.clock.advance(10)
        self.assertTrue(self.transport.disconnecting)

    def test_keepAlive(self) -> None:
        """The bot pings a silent server."""
        self.welcome()
        for _ in range(3):
            self.clock.advance(_ircclient.PING_AFTER)
            self.assertEqual(self.sent(), ["PING :finger"])
            self.server(":irc.example.org PONG irc.example.org :finger")
        self.clock.advance(_ircclient.PING_AFTER - 1)
        self.server("PING :x")
        self.clock.advance(_ircclient.PING_AFTER - 1)
        self.assertEqual(self.sent(), ["PONG :x"])
        self.assertFalse(self.transport.disconnecting)

    def test_dead(self) -> None:
        """If the server does not answer the ping, the bot disconnects."""
        self.welcome()
        self.clock.advance(_ircclient.PING_AFTER)
        self.clock.advance(_ircclient.PONG_WITHIN - 1)
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(self.transport.disconnecting)

    def test_error(self) -> None:
        """The server's error message is logged."""
        with capturedLogs() as events:
            self.server("ERROR :K-lined\x1b")
        warnings = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
        self.assertEqual(warnings, [r"irc: error from the server: 'K-lined\x1b'"])

    def test_lost(self) -> None:
        """A lost connection leaves no timers, and its reason is logged."""
        self.welcome()
        self.server(":op!u@h KICK #twisted fingerbot :spam")
        with capturedLogs() as events:
            self.bot.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIn("Connection to the other side was lost", events[0]["reason"])

    def test_endlessLine(self) -> None:
        """An endless line closes the connection."""
        self.bot.dataReceived(b"x" * 20_000)
        self.assertTrue(self.transport.disconnecting)

    def test_truncatedNickname(self) -> None:
        """If the server shortens the nickname, the bot uses the short one."""
        self.welcome("fingerb")
        self.assertEqual(self.told("moshez", target="fingerb"), ["NOTICE joe :Status of moshez: Happy and well"])
        self.server(":irc.example.org 005 fingerb NICKLEN=7 :are supported")
        self.clock.advance(_ircclient.REGAIN_AFTER)
        self.assertEqual([line for line in self.sent() if "NICK" in line], [])

    def test_namelessWelcome(self) -> None:
        """If the welcome names no nickname, the bot keeps the one it requested."""
        self.server(":irc.example.org 001")
        self.assertTrue(self.bot.isMe("fingerbot"))


class NicknameTests(BotTestCase):
    """The bot's nickname."""

    def setUp(self) -> None:
        """Connect a bot whose nickname is in use."""
        self.service = MemoryFingerService(USERS)
        self.connect()
        self.sent()
        self.server(":s 433 * fingerbot :Nickname is already in use")

    def welcomeAsOther(self) -> None:
        """Complete the registration under another nickname."""
        self.assertEqual(self.sent(), ["NICK :fingerbot_"])
        self.server(":s 001 fingerbot_ :Welcome")
        self.clock.advance(20)
        self.assertEqual(self.sent(), ["JOIN :#twisted"])

    def test_other(self) -> None:
        """Under another nickname, the bot answers to that one only."""
        self.welcomeAsOther()
        self.assertEqual(len(self.told("moshez", target="fingerbot_")), 1)
        self.assertEqual(self.told("moshez", target="fingerbot"), [])

    def test_tooLong(self) -> None:
        """If the server refuses nicknames, the bot tries shorter ones."""
        self.server(":s 432 * fingerbot_ :Nickname too long", ":s 432 * fingerbot__ :Nickname too long")
        self.server(":s 436 * fingerbo1 :Nickname collision", ":s 437 * fingerbo2 :Unavailable")
        self.assertEqual(
            self.sent(), [f"NICK :{n}" for n in ("fingerbot_", "fingerbot__", "fingerbo1", "fingerbo2", "fingerbo3")]
        )

    def test_none(self) -> None:
        """If the server refuses all nicknames, the bot disconnects."""
        for _ in range(40):
            self.server(":s 432 * x :Erroneous nickname")
        self.assertTrue(self.transport.disconnecting)

    def test_regainByTime(self) -> None:
        """The bot requests its wanted nickname again, at growing intervals, until it has it."""
        self.welcomeAsOther()
        tries = []
        for _ in range(60):
            self.clock.advance(60)
            self.server("NOTICE * :still here")
            if self.sent():
                tries.append(self.clock.seconds())
                self.server(":s 433 fingerbot_ fingerbot :Nickname is already in use")
        gaps = [after - before for before, after in pairwise(tries)]
        self.assertEqual(gaps, [120, 240, 480, 900, 900, 900])
        self.server(":fingerbot_!u@h NICK :fingerbot")
        self.clock.pump([60, 60] * 30)
        self.assertEqual([line for line in self.sent() if "NICK" in line], [])

    def test_regainWhenFree(self) -> None:
        """The bot requests its wanted nickname at once when its user leaves or changes nickname."""
        self.welcomeAsOther()
        self.server(":fingerbott!u@h QUIT :bye", ":joe!u@h NICK :joel")
        self.assertEqual(self.sent(), [])
        self.server(":FingerBot!u@h QUIT :bye")
        self.assertEqual(self.sent(), ["NICK :fingerbot"])
        self.server(":fingerbot!u@h NICK :joe")
        self.assertEqual(self.sent(), ["NICK :fingerbot"])
        self.server(":fingerbot_!u@h NICK :fingerbot")
        self.assertEqual(len(self.told("moshez")), 1)
        self.server(":fingerbot!u@h QUIT :bye")
        self.clock.advance(_ircclient.REGAIN_AFTER)
        self.assertEqual(self.sent(), [])

    def test_renamed(self) -> None:
        """If the server renames the bot, it requests its wanted nickname again."""
        self.welcomeAsOther()
        self.server(":fingerbot_!u@h NICK :fingerbot", ":fingerbot!u@h NICK :Guest1")
        self.clock.advance(_ircclient.REGAIN_AFTER)
        self.assertEqual(self.sent(), ["NICK :fingerbot"])

    def test_nickLength(self) -> None:
        """The bot requests no nickname longer than the server allows."""
        self.server(":s 001 fingerbot_ :Welcome", ":s 005 fingerbot_ NICKLEN=6 :are supported by this server")
        self.clock.advance(20)
        self.sent()
        self.clock.advance(_ircclient.REGAIN_AFTER)
        self.assertEqual(self.sent(), ["NICK :finger"])


class ChannelTests(BotTestCase):
    """The bot's channels."""

    channels = ("#twisted", "#Python[x]")

    def test_join(self) -> None:
        """The bot joins all its channels."""
        self.connect()
        self.sent()
        self.server(":s 001 fingerbot :Welcome")
        self.clock.advance(20)
        self.assertEqual(self.sent(), ["JOIN :#twisted", "JOIN :#Python[x]"])

    def test_kicked(self) -> None:
        """After a kick the bot rejoins the channel, with a delay."""
        self.server(":op!u@h KICK #python{x} joe :spam", ":op!u@h KICK #python{x} FINGERBOT :spam")
        self.server(":op!u@h KICK #elsewhere fingerbot")
        self.clock.advance(_ircclient.REJOIN_AFTER - 1)
        self.assertEqual(self.sent(), [])
        self.clock.advance(1)
        self.assertEqual(self.sent(), ["JOIN :#Python[x]"])

    def test_parted(self) -> None:
        """So it does after a forced part."""
        self.server(":joe!u@h PART #twisted", ":fingerbot!u@h PART #twisted")
        self.clock.advance(_ircclient.REJOIN_AFTER)
        self.assertEqual(self.sent(), ["JOIN :#twisted"])

    def test_refused(self) -> None:
        """A channel that refuses the bot is tried again later."""
        for code in ("474", "437"):
            self.server(f":s {code} fingerbot #twisted :Cannot join channel")
            self.clock.advance(119)
            self.server("PING :x")
            self.clock.advance(119)
            self.server("PING :x")
            self.sent()
            self.clock.advance(_ircclient.JOIN_AGAIN_AFTER - 238)
            self.assertEqual(self.sent(), ["JOIN :#twisted"])


class FactoryTests(SynchronousTestCase):
    """The factory."""

    def test_adapter(self) -> None:
        """Any back end adapts to the factory, which has safe defaults."""
        factory = IIRCClientFactory(MemoryFingerService())
        self.assertIsInstance(factory, IRCBotFactory)
        verifyObject(IIRCClientFactory, factory)
        self.assertEqual((factory.nickname, factory.channels, factory.clock), ("fingerbot", (), None))
        factory.welcomed()

    def test_noReactor(self) -> None:
        """Importing the modules does not install a reactor."""
        modules = "finger.adapters.irc.bot, finger.adapters.irc.service"
        program = f"import {modules}, sys; print('twisted.internet.reactor' in sys.modules)"
        self.assertEqual(check_output([sys.executable, "-c", program], cwd=ROOT), b"False\n")

    def test_noClock(self) -> None:
        """Without a clock the factory answers queries, but makes no bot."""
        factory = IRCBotFactory(MemoryFingerService(USERS))
        self.assertRaises(RuntimeError, factory.buildProtocol, None)
        answer = factory.answer("moshez", "joe!u@h", "fingerbot")
        self.assertEqual(self.successResultOf(answer), "Status of moshez: Happy and well")


class CheckTests(SynchronousTestCase):
    """The checks of nicknames and channels."""

    def test_nicknames(self) -> None:
        """A nickname must be valid by RFC 2812."""
        for nickname in ("fingerbot", "F", "_a-1", "[\\]^{|}`"):
            self.assertEqual(checkNickname(nickname), nickname)
        for nickname in ("", "1a", "-a", "a b", "a\n", "a\r\nQUIT", "a\0", "ä", "a!b", "a@b", "#a", "a,b", "a" * 31):
            error = self.assertRaises(ConfigError, checkNickname, nickname)
            self.assertRegex(str(error), r"^--ircnick=[^\n\r\0]*: is not a valid IRC nickname: use ")

    def test_channels(self) -> None:
        """A channel must be valid by RFC 2812; the prefix # may be omitted."""
        for channel in ("#twisted", "&local", "##c++", "#schön", "+x", "!ABCDEx"):
            self.assertEqual(checkChannel(channel), channel)
        self.assertEqual(checkChannel("twisted"), "#twisted")
        wrong = (
            "",
            "#",
            "#a b",
            "#a,b",
            "#a:b",
            "#a\r\nQUIT",
            "#a\0",
            "#a\x07",
            "#\u202ea",
            "#\u00a0",
            "#" + "é" * 25,
        )
        for channel in wrong:
            error = self.assertRaises(ConfigError, checkChannel, channel)
            self.assertRegex(str(error), r"^--ircchannel=[^\n\r\0]*: is not a valid IRC channel: use ")


class EndpointTests(SynchronousTestCase):
    """The endpoints of servers."""

    def where(self, server: str) -> tuple[bool, bytes, int]:
        """Return whether an endpoint uses TLS, and its host and port."""
        endpoint: Any = ircEndpoint(MemoryReactorClock(), server)
        verifyObject(IStreamClientEndpoint, endpoint)
        isTLS = not isinstance(endpoint, HostnameEndpoint)
        if isTLS:
            endpoint = endpoint._wrappedEndpoint
        return isTLS, endpoint._hostBytes, endpoint._port

    def test_host(self) -> None:
        """A host, with or without a port, means TLS."""
        self.assertEqual(self.where("irc.libera.chat"), (True, b"irc.libera.chat", 6697))
        self.assertEqual(self.where("irc.libera.chat:7000"), (True, b"irc.libera.chat", 7000))
        self.assertEqual(self.where("192.0.2.1"), (True, b"192.0.2.1", 6697))

    def test_v6(self) -> None:
        """A host may be an IPv6 address."""
        for server in ("2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:6697"):
            self.assertEqual(self.where(server), (True, b"2001:db8::1", 6697))

    def test_plain(self) -> None:
        """The traditional ports of IRC are without TLS."""
        self.assertEqual(self.where("localhost:6667"), (False, b"localhost", 6667))
        self.assertEqual(self.where("[::1]:6669"), (False, b"::1", 6669))

    def test_strings(self) -> None:
        """An endpoint string is used as it is."""
        reactor = MemoryReactorClock()
        self.assertIsInstance(ircEndpoint(reactor, "tcp:127.0.0.1:7777"), TCP4ClientEndpoint)
        self.assertIsInstance(ircEndpoint(reactor, "unix:/run/irc"), UNIXClientEndpoint)
        self.assertTrue(self.where("tls:irc.libera.chat:6697"))

    def test_wrong(self) -> None:
        """An invalid server is an error of one line."""
        for server in (
            "",
            "a b",
            "a:b",
            "a:0",
            "a:65536",
            "[a]",
            "[a]:1",
            "[::1",
            "x:y:z",
            "tcp:a:b",
            "a\r\nb",
            "tls:",
        ):
            error = self.assertRaises(ConfigError, ircEndpoint, MemoryReactorClock(), server)
            self.assertRegex(str(error), r"^--ircserver=[^\n\r\0]*: is not a valid server: use [^\n\r]+$")


@implementer(IStreamClientEndpoint)
class EndpointDouble:
    """An endpoint that the test controls."""

    def __init__(self) -> None:
        self.attempts: list[Deferred[Any]] = []

    def connect(self, factory: Any) -> Deferred[Any]:
        """Start an attempt."""
        self.factory = factory
        self.attempts.append(Deferred())
        return self.attempts[-1]

    def succeed(self) -> tuple[Any, StringTransport]:
        """Complete the last attempt."""
        protocol, transport = self.factory.buildProtocol(None), StringTransport()
        protocol.makeConnection(transport)
        self.attempts[-1].callback(protocol)
        return protocol, transport


class ServiceTests(SynchronousTestCase):
    """Reconnecting."""

    def setUp(self) -> None:
        """Make a service that connects through an endpoint double."""
        self.reactor = MemoryReactorClock()
        self.endpoint = EndpointDouble()
        self.patch(ircservice, "ircEndpoint", lambda reactor, server: self.endpoint)
        self.patch(random, "uniform", lambda least, most: most)
        self.factory = IIRCClientFactory(MemoryFingerService())
        self.factory.channels = ("twisted",)
        self.service = ircService(self.reactor, self.factory, "irc.example.org")

    def failToConnect(self) -> None:
        """Make the last attempt fail."""
        self.endpoint.attempts[-1].errback(ConnectionRefusedError())

    def test_attributes(self) -> None:
        """The service checks the factory's attributes, and sets its clock."""
        self.assertEqual(self.factory.channels, ("#twisted",))
        self.assertIs(self.factory.clock, self.reactor)
        for wrong in ({"nickname": "a b"}, {"channels": ("#a,0",)}):
            factory = IIRCClientFactory(MemoryFingerService())
            factory.__dict__.update(wrong)
            self.assertRaises(ConfigError, ircService, self.reactor, factory)

    def test_refused(self) -> None:
        """A server that is down is retried at growing intervals, for ever, and the reason is logged."""
        self.service.startService()
        with capturedLogs() as events:
            for seconds in (5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300, 300, 300):
                attempts = len(self.endpoint.attempts)
                self.failToConnect()
                self.reactor.advance(seconds - 1)
                self.assertEqual(len(self.endpoint.attempts), attempts)
                self.reactor.advance(1)
                self.assertEqual(len(self.endpoint.attempts), attempts + 1)
        event = next(event for event in events if "server" in event)
        self.assertEqual(event["server"], "irc.example.org")
        self.assertIn("refused", event["reason"])
        self.assertIn("<IRC server irc.example.org>", str([event.get("endpoint") for event in events]))

    def test_unwelcome(self) -> None:
        """A connection without a welcome does not reset the delay."""
        self.service.startService()
        for seconds in (5, 10, 20):
            self.endpoint.succeed()[0].connectionLost(Failure(ConnectionLost()))
            self.reactor.advance(seconds - 1)
            attempts = len(self.endpoint.attempts)
            self.reactor.advance(1)
            self.assertEqual(len(self.endpoint.attempts), attempts + 1)

    def test_welcome(self) -> None:
        """A welcome resets the delay, and the channels are joined again each time."""
        self.service.startService()
        for _ in range(3):
            self.failToConnect()
            self.reactor.advance(300)
        for _ in range(3):
            bot, transport = self.endpoint.succeed()
            bot.dataReceived(b":s 001 fingerbot :Welcome\r\n")
            self.assertIn(b"JOIN :#twisted\r\n", transport.value())
            bot.connectionLost(Failure(ConnectionLost()))
            self.reactor.advance(5)

    def test_stop(self) -> None:
        """A service that is stopped during an attempt logs no failure."""
        self.service.startService()
        with capturedLogs() as events:
            self.successResultOf(self.service.stopService())
        self.assertEqual([event for event in events if "server" in event], [])

    def test_stopConnected(self) -> None:
        """A service that is stopped closes its connection, and does not wait for the bot to end as a producer."""
        self.service.startService()
        _, transport = self.endpoint.succeed()
        self.assertIsNotNone(transport.producer)
        self.service.stopService()
        self.assertTrue(transport.disconnecting)
        self.assertIsNone(transport.producer)

    def test_ownPolicy(self) -> None:
        """The retry policy can be replaced."""
        service = ircService(self.reactor, self.factory, "irc.example.org", retryPolicy=lambda attempt: 0.5)
        service.startService()
        self.failToConnect()
        self.reactor.advance(0.5)
        self.assertEqual(len(self.endpoint.attempts), 2)


class BackoffPolicyTests(SynchronousTestCase):
    """The delays between attempts."""

    def test_jitter(self) -> None:
        """Delays are random between half the maximum and the maximum, and start again after a reset."""
        policy = BackoffPolicy()
        delays = [policy(1) for _ in range(2000)]
        self.assertTrue(2.5 <= delays[0] <= 5)
        self.assertTrue(all(150 <= delay <= 300 for delay in delays[10:]))
        self.assertGreater(len({round(delay) for delay in delays[10:]}), 50)
        policy.reset()
        self.assertLessEqual(policy(1), 5)
