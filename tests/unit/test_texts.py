"""Tests for L{finger.access.texts}, and for how policy and adapters use the texts."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import IResource
from zope.interface.verify import verifyObject

from finger.access.policy import PolicyFingerService
from finger.access.texts import BANNER, LIST, MAX_BYTES, NAMES, UNKNOWN, Texts
from finger.adapters.finger import FingerFactory
from finger.adapters.irc.bot import IRCBotFactory
from finger.adapters.pb.root import PerspectiveFinger
from finger.adapters.xmlrpc.resource import FingerXMLRPC, _Peer
from finger.backends.memory import MemoryFingerService
from finger.errors import ConfigError, ListRefused, NoSuchUser
from finger.interfaces import IBannered, IFingerService, IReloadable
from finger.net.answercache import versionOf
from finger.profile import Profile
from finger.testing import FingerServiceContract, ProfilesDouble, ThreadlessReactor
from tests.support.files import makeFIFO
from tests.unit.test_web import Browser


class TextsTestCase(SynchronousTestCase):
    """A test with a directory of texts."""

    def setUp(self) -> None:
        """Make an empty directory."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def write(self, **texts: str) -> None:
        """Write texts, by their names without C{.txt}."""
        for name, text in texts.items():
            (self.directory / f"{name}.txt").write_text(text, "utf-8", newline="")

    def texts(self) -> Texts:
        """Read the texts."""
        return Texts(str(self.directory), ThreadlessReactor())


class TextsTests(TextsTestCase):
    """Reading the texts."""

    def test_none(self) -> None:
        """Without a directory, and without files in it, all texts are empty."""
        for texts in (Texts(), self.texts()):
            verifyObject(IReloadable, texts)
            self.assertEqual([texts.get(name) for name in NAMES], [""] * 3)

    def test_clean(self) -> None:
        """Texts are cleaned as statuses are; the final line end and a byte order mark do not count."""
        self.write(list="\ufeff\n  Willkommen, Zoë\r\n\r\n", banner="a\x1b[31m\u202eb\0c\t\r\n", unknown="x")
        texts = self.texts()
        self.assertEqual(texts.get(LIST), "\n  Willkommen, Zoë\n")
        self.assertEqual((texts.get(BANNER), texts.get(UNKNOWN)), ("a?[31m?b?c\t", "x"))

    def assertError(self, problem: str) -> None:
        """Check the error at the start."""
        error = self.assertRaises(ConfigError, self.texts)
        self.assertEqual(str(error), f"--texts={self.directory}: {problem}")

    def test_directory(self) -> None:
        """A directory that cannot be read is an error of one line."""
        self.directory.rmdir()
        hint = "give a directory with any of list.txt, unknown.txt, banner.txt"
        self.assertError(f"cannot be read: No such file or directory; {hint}")
        self.directory.write_text("")
        self.assertError(f"cannot be read: Not a directory; {hint}")

    def test_file(self) -> None:
        """So is a text that cannot be read, is too long, is empty, or is not UTF-8."""
        path = self.directory / "list.txt"
        path.symlink_to("/nowhere")
        self.assertError("list.txt: cannot be read: No such file or directory")
        path.unlink()
        path.mkdir()
        self.assertError("list.txt: cannot be read: Is a directory")
        path.rmdir()
        makeFIFO(self, path)
        self.assertError("list.txt: cannot be read: is not a regular file")
        path.unlink()
        path.write_text("x" * (MAX_BYTES + 1))
        self.assertError(f"list.txt: cannot be read: is longer than {MAX_BYTES} bytes")
        for blank in ("", " \n\n", "\ufeff\n\ufeff\u200b"):
            path.write_text(blank)
            self.assertError("list.txt: is empty; write a text, or remove the file")
        path.write_bytes(b"Zo\xeb")
        self.assertError("list.txt: is not in UTF-8: unexpected end of data at byte 2")

    def test_others(self) -> None:
        """Files with other names are named in a warning, except hidden ones."""
        self.write(list="Welcome")
        for name in ("lists.txt", ".list.txt.swp", "list.txt~", "LIST.TXT", "\x1b[31m", "zoë", "z"):
            (self.directory / name).write_text("x")
        with capturedLogs() as events:
            self.texts()
        names = "'\\x1b[31m', 'LIST.TXT', 'list.txt~', 3 more"
        warning = (
            f"--texts={self.directory}: not used: {names}; the names of texts are list.txt, unknown.txt, banner.txt"
        )
        self.assertEqual([formatEvent(event) for event in events], [warning])
        for name in ("lists.txt", "list.txt~", "\x1b[31m", "zoë", "z"):
            (self.directory / name).unlink()
        with capturedLogs() as events:
            self.texts()
        self.assertIn("not used: 'LIST.TXT'; the names", formatEvent(events[0]) or "")

    def test_reload(self) -> None:
        """A reload reads all texts again, or keeps all of them if one cannot be read."""
        self.write(list="Welcome", banner="Banner")
        texts = self.texts()
        self.write(list="Changed", unknown="Unknown")
        (self.directory / "banner.txt").unlink()
        with capturedLogs() as events:
            self.assertIs(self.successResultOf(texts.reload()), True)
        self.assertEqual([formatEvent(event) for event in events], [f"texts read from {self.directory}"])
        self.assertEqual([texts.get(name) for name in NAMES], ["Changed", "Unknown", ""])
        self.write(list="Changed again", banner="")
        with capturedLogs() as events:
            self.assertIs(self.successResultOf(texts.reload()), False)
        problem = f"--texts={self.directory}: banner.txt: is empty; write a text, or remove the file"
        self.assertEqual([formatEvent(event) for event in events], [f"{problem}; the texts in use are kept"])
        self.assertEqual([texts.get(name) for name in NAMES], ["Changed", "Unknown", ""])
        self.assertEqual(texts.readings, 2)


class PolicyContractTests(FingerServiceContract, TextsTestCase):
    """A policy with texts meets the contract of back ends."""

    known, unknown = "ada", "nobody"

    def makeService(self) -> IFingerService:
        """Make a policy around a back end with one user."""
        self.write(unknown="Unknown here", banner="Banner")
        return PolicyFingerService(ProfilesDouble(Profile("ada", plan="Weaving")), Clock(), texts=self.texts())


class PolicyTests(TextsTestCase):
    """The texts behind a policy."""

    def policy(self, **texts: str) -> PolicyFingerService:
        """Make a policy with texts, around a back end with one user."""
        self.write(**texts)
        self.read = self.texts()
        return PolicyFingerService(MemoryFingerService({"ada": "Weaving"}), Clock(), texts=self.read)

    def test_list(self) -> None:
        """The text for the list is that of the refusal of each list; users can be queried."""
        policy = self.policy(list="Welcome")
        for ask in (policy.getUsers, policy.getProfiles, policy.getLongProfiles):
            error = self.failureResultOf(ask(), ListRefused).value
            self.assertEqual((error.text, error.words), ("Welcome", "Finger online user list denied"))
        self.assertEqual(self.successResultOf(policy.getUser("ada")), "Weaving")

    def test_unknown(self) -> None:
        """The text for unknown users is that of the errors about names that are unknown, and that are none."""
        policy = self.policy(unknown="Unknown here")
        for name in ("nobody", "a b", ""):
            for ask in (policy.getUser, policy.getProfile):
                error = self.failureResultOf(ask(name), NoSuchUser).value
                self.assertEqual((error.text, error.words), ("Unknown here", "No such user"))
        self.assertEqual(self.successResultOf(policy.getUsers()), ["ada"])

    def test_now(self) -> None:
        """So it is where a back end is asked without waiting."""
        policy = self.policy(unknown="Unknown here")
        for name in ("nobody", "a b", ""):
            error = self.assertRaises(NoSuchUser, policy.getProfileNow, name)
            self.assertEqual((error.text, error.words), ("Unknown here", "No such user"))

    def test_version(self) -> None:
        """The version changes with the texts, but a back end without one has none."""
        policy = self.policy(banner="Banner")
        before = policy.version()
        self.assertEqual(policy.version(), before)
        self.successResultOf(self.read.reload())
        self.assertNotEqual(policy.version(), before)
        self.assertIsNone(versionOf(PolicyFingerService(ProfilesDouble(), Clock(), texts=self.read)))

    def test_banner(self) -> None:
        """The policy has the banner."""
        policy = self.policy(banner="Banner")
        verifyObject(IBannered, policy)
        self.assertEqual(policy.banner(), "Banner")

    # The adapters.

    def finger(self, policy: PolicyFingerService, query: bytes, **fields: object) -> bytes:
        """Return the answer to a finger query."""
        factory = FingerFactory(policy)
        vars(factory).update(fields)
        return self.successResultOf(factory.answer(query, "192.0.2.1"))

    def test_finger(self) -> None:
        """Finger answers with the texts, which also replace errors; other errors have the banner."""
        policy = self.policy(list="Welcome\n\nto us", unknown="Unknown\nhere", banner="Zoë's host\n\n")
        for query, expected in {
            b"": "Welcome\r\n\r\nto us\r\n",
            b"/W": "Welcome\r\n\r\nto us\r\n",
            b"ada": "Weaving\r\n",
            b"nobody": "Unknown\r\nhere\r\n",
            b"nobody ada a@b": "Unknown\r\nhere\r\nWeaving\r\nFinger forwarding service denied\r\n",
            b"x" * 2000: "Bad query\r\n",
        }.items():
            for fields in ({}, {"matchNames": True}):
                answer = self.finger(policy, query, **fields)
                self.assertEqual(answer.decode(), f"Zoë's host\r\n\r\n{expected}", query)
            now = FingerFactory(policy).answerNow(query + b"\r\n", "192.0.2.1")
            self.assertEqual(now, answer if query in (b"ada", b"nobody") else None)
        self.assertEqual(self.finger(policy, b"ada", utf8=False), b"Zoe's host\r\n\r\nWeaving\r\n")

    def test_fingerKept(self) -> None:
        """A list that is kept does not outlive the texts, nor the text the list."""
        policy = self.policy(banner="Before")
        factory = FingerFactory(policy)

        def answer() -> bytes:
            return self.successResultOf(factory.answer(b"", "192.0.2.1"))

        self.assertEqual([answer(), answer()], [b"Before\r\nada\r\n"] * 2)
        self.write(banner="After", list="Welcome")
        self.successResultOf(self.read.reload())
        self.assertEqual([answer(), answer()], [b"After\r\nWelcome\r\n"] * 2)
        for name in ("list.txt", "banner.txt"):
            (self.directory / name).unlink()
        self.successResultOf(self.read.reload())
        self.assertEqual(answer(), b"ada\r\n")

    def test_fingerKeptNow(self) -> None:
        """Answers that are kept for one turn of the reactor do not outlive the texts, either."""
        factory = FingerFactory(self.policy(banner="Before", unknown="Unknown"))

        def answers() -> list[bytes | None]:
            return [factory.answerNow(query, "192.0.2.1") for query in (b"ada\r\n", b"nobody\r\n")]

        for _ in range(2):
            self.assertEqual(answers(), [b"Before\r\nWeaving\r\n", b"Before\r\nUnknown\r\n"])
        self.write(banner="After")
        (self.directory / "unknown.txt").unlink()
        self.successResultOf(self.read.reload())
        self.assertEqual(answers(), [b"After\r\nWeaving\r\n", b"After\r\nNo such user\r\n"])

    def test_web(self) -> None:
        """Pages have the banner above them; the texts are on the page of the list and on those of unknown users."""
        policy = self.policy(list="<Welcome>\n", unknown="\n<Unknown>", banner="<Banner>\n\n")
        ask = Browser(IResource(policy))
        for path, code, heading, texts in (
            ("/", 200, "Users", ["<Banner>", "<Welcome>"]),
            ("/?page=2", 200, "Users", ["<Banner>", "<Welcome>"]),
            ("/ada", 200, "ada", ["<Banner>", "Weaving"]),
            ("/nobody", 404, "No such user", ["<Banner>", "<Unknown>"]),
            ("/a@b", 403, "Finger forwarding service denied", ["<Banner>"]),
            ("/a/b", 404, "No such page", ["<Banner>"]),
        ):
            answer = ask(path)
            self.assertEqual((answer.code, answer.texts("h1")), (code, [heading]), path)
            self.assertEqual(answer.texts("pre"), texts, path)
            self.assertNotIn("No users", answer.html)
        self.assertIn(">\n\n&lt;Unknown&gt;</pre>", ask("/nobody").html)

    def test_webKept(self) -> None:
        """A page that is kept does not outlive the texts."""
        ask = Browser(IResource(self.policy(banner="Before")))
        self.assertEqual([ask(path).texts("pre") for path in ("/", "/ada")], [["Before"], ["Before", "Weaving"]])
        self.write(banner="After", list="Welcome")
        self.successResultOf(self.read.reload())
        self.assertEqual(
            [ask(path).texts("pre") for path in ("/", "/ada")], [["After", "Welcome"], ["After", "Weaving"]]
        )
        for name in ("list.txt", "banner.txt"):
            (self.directory / name).unlink()
        self.successResultOf(self.read.reload())
        self.assertEqual([ask(path).texts("pre") for path in ("/", "/ada")], [[], ["Weaving"]])
        self.assertEqual(ask("/").links(), {"ada": "./ada"})

    def test_irc(self) -> None:
        """The bot answers with the text for unknown users, without the banner."""
        bot = IRCBotFactory(self.policy(list="Welcome", unknown="Unknown\nhere", banner="Banner"))
        for name, expected in {"nobody": "Unknown\nhere", "ada": "Weaving"}.items():
            answer = self.successResultOf(bot.answer(name, "joe!joe@192.0.2.1", "bot"))
            self.assertEqual(answer, f"Status of {name}: {expected}")

    def test_programs(self) -> None:
        """Programs receive the words of the errors, by which they tell them apart."""
        policy = self.policy(list="Welcome", unknown="Unknown", banner="Banner")
        root = PerspectiveFinger(policy)
        for waiting, words in (
            (root.remote_getUsers(), "Finger online user list denied"),
            (root.remote_getUser("nobody"), "No such user"),
        ):
            self.assertEqual(self.failureResultOf(waiting).getErrorMessage(), words)
        call = "<methodCall><methodName>{}</methodName><params>{}</params></methodCall>"
        parameter = "<param><value>nobody</value></param>"
        for body, expected in (
            (call.format("getUsers", ""), "Finger online user list denied"),
            (call.format("getUser", parameter), "No such user"),
        ):
            answer = Deferred.fromCoroutine(FingerXMLRPC(policy)._answer(body.encode(), _Peer("192.0.2.1", None)))
            self.assertIn(expected, self.successResultOf(answer).decode())
