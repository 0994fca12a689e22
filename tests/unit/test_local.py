"""Tests for L{finger.backends.local} and L{finger.backends._accounts}."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Event, current_thread
from typing import Any
from unittest import mock

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger, capturedLogs
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface.verify import verifyObject

import finger
from finger.backends._accounts import Accounts, Found, SystemPasswd, parsePasswd, readMail, readUIDRange
from finger.backends._lastlog import findLastLogin
from finger.backends.local import LocalBackend, LocalFingerService, Readings, startThread
from finger.errors import BackendUnavailable, ConfigError, NoSuchUser
from finger.interfaces import IFingerBackend, IReadsFields
from finger.log.failures import FailureLog
from finger.profile import FIELD_OF_ATOM, LastLogin, Mail, Profile
from finger.protocol.wire import encode, formatAnswer
from finger.testing import FingerServiceContract
from tests.support.files import makeFIFO

ME = os.geteuid()
NOBODY = 65534
PEOPLE = range(ME, ME + 100)


class PasswdDouble:
    """
    A password database in memory.

    @ivar asked: the names that were looked up.
    """

    def __init__(self) -> None:
        self.entries: list[pwd.struct_passwd] = []
        self.asked: list[str] = []

    def add(
        self, name: str, home: str = "/nonexistent", uid: int = ME, gecos: str = "", shell: str = "/bin/sh"
    ) -> None:
        """Add a user."""
        self.entries.append(pwd.struct_passwd((name, "x", uid, uid, gecos, home, shell)))

    def getpwnam(self, name: str, /) -> pwd.struct_passwd:
        """Find a user, like a name service that also accepts uids and capitals."""
        self.asked.append(name)
        for entry in self.entries:
            if name.lower() == entry.pw_name or name == str(entry.pw_uid):
                return entry
        raise KeyError(name)

    def getpwall(self) -> list[pwd.struct_passwd]:
        """Find all users."""
        return self.entries


class ReactorDouble(Clock):
    """A clock that queues the calls from threads until the test makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.fromThreads: SimpleQueue[Callable[[], object]] = SimpleQueue()

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        """Queue the call."""
        self.fromThreads.put(lambda: function(*arguments))

    def callNext(self) -> None:
        """Wait for the next call, and make it."""
        self.fromThreads.get(timeout=60)()


class ThreadsDouble:
    """Threads that run only when the test calls them."""

    def __init__(self) -> None:
        self.begun: list[Callable[[], None]] = []

    def __call__(self, work: Callable[[], None]) -> None:
        """Add a thread."""
        self.begun.append(work)


class AtOnce(Clock):
    """A reactor without threads, which makes calls at once; use it with C{start=run}."""

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        """Make the call."""
        function(*arguments)


def run(work: Callable[[], None]) -> None:
    """Do the work at once, in this thread."""
    work()


class AccountsTestCase(SynchronousTestCase):
    """A test with a password database and home directories."""

    def setUp(self) -> None:
        """Make a password database without users."""
        self.passwd = PasswdDouble()
        self.root = Path(tempfile.mkdtemp(prefix="finger-local-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.root.chmod(0o755)
        self.mail = self.root / "mail"
        self.mail.mkdir()
        self.lastLogins: dict[str, LastLogin] = {}
        self.reactor = AtOnce()

    def addUser(self, name: str, plan: str | None = None, **fields: Any) -> Path:
        """Add a user with a home directory."""
        home = self.root / name
        home.mkdir(mode=0o755)
        self.passwd.add(name, str(home), **fields)
        if plan is not None:
            (home / ".plan").write_text(plan)
            (home / ".plan").chmod(0o644)
        return home

    def accounts(self, **options: Any) -> Accounts:
        """Make the accounts of the password database."""
        options = {"uidRange": PEOPLE} | options
        return Accounts(
            self.passwd,
            mailDirectory=self.mail,
            lastLogin=lambda login, uid: self.lastLogins.get(login),
            **options,
        )

    def service(self, **options: Any) -> LocalFingerService:
        """Make a service that answers at once."""
        return LocalFingerService(self.reactor, self.accounts(**options), start=run)

    def profile(self, user: str, **options: Any) -> Profile:
        """Return a user's profile."""
        return self.successResultOf(self.service(**options).getProfile(user))

    def users(self, **options: Any) -> list[str]:
        """Return the user list."""
        return self.successResultOf(self.service(**options).getUsers())

    def answer(self, user: str) -> bytes:
        """Return the bytes of the answer on the wire."""
        answer = self.service().getProfile(user).addCallback(formatAnswer).addErrback(FailureLog().explain, Logger())
        return encode(self.successResultOf(answer))


class LocalContractTests(FingerServiceContract, AccountsTestCase):
    """The local back end meets the contract of back ends."""

    known, unknown = "moshez", "esr"

    def makeService(self) -> LocalFingerService:
        """Make a service with one user."""
        if not self.passwd.entries:
            self.addUser("moshez", "Happy and well\n")
        return self.service()


class ThreadedContractTests(LocalContractTests):
    """The local back end also meets the contract with real threads."""

    def makeService(self) -> LocalFingerService:
        """Make a service with threads."""
        super().makeService()
        self.threaded = ReactorDouble()
        return LocalFingerService(self.threaded, self.accounts())

    def result(self, deferred: Deferred[Any]) -> object:
        """Wait for a result."""
        self.await_(deferred)
        return self.successResultOf(deferred)

    def failure(self, deferred: Deferred[Any], *expected: type[Exception]) -> object:
        """Wait for a failure."""
        self.await_(deferred)
        return self.failureResultOf(deferred, *expected)

    def await_(self, deferred: Deferred[Any]) -> None:
        """Wait for a Deferred to fire."""
        while not deferred.called:
            self.threaded.callNext()


class ProfileTests(AccountsTestCase):
    """The profile of a user."""

    def test_everything(self) -> None:
        """The profile has all fields."""
        home = self.addUser("moshez", "Happy\nand well\n", gecos="Moshe Z,Room 5,555-1234,555-9999", shell="/bin/zsh")
        for name, text in {".project": "fingerd\n", ".pubkey": "AAAA\n", ".pgpkey": "mDME\n"}.items():
            (home / name).write_text(text)
        self.lastLogins["moshez"] = LastLogin(datetime(2010, 3, 31, tzinfo=UTC), "pts/0")
        profile = self.profile("moshez")
        self.assertEqual(
            profile,
            Profile(
                "moshez",
                name="Moshe Z",
                plan="Happy\nand well",
                project="fingerd",
                home=str(home),
                shell="/bin/zsh",
                lastLogin=self.lastLogins["moshez"],
                mail=Mail(None),
                office="Room 5, 555-1234",
                pubkey="AAAA",
                pgpkey="mDME",
            ),
        )
        self.assertEqual(self.successResultOf(self.service().getUser("moshez")), "Happy\nand well")

    def test_nothing(self) -> None:
        """A user may have no files, and not even a home directory."""
        self.passwd.add("moshez")
        self.assertEqual(
            self.profile("moshez"),
            Profile(
                *("moshez", "", "", "", "/nonexistent", "/bin/sh"),
                mail=Mail(None),
                pubkey="",
                pgpkey="",
            ),
        )
        self.assertEqual(self.successResultOf(self.service().getUser("moshez")), "No Plan.")

    def test_atoms(self) -> None:
        """
        Files of fields that are not disclosed are not read, and cause no lines in the log.  So they do not count
        towards the length of the long form of the list.
        """
        home = self.addUser("moshez", "Happy")
        (home / ".pubkey").symlink_to("/etc/passwd")
        (home / ".pgpkey").write_text("x" * 10)
        self.addUser("zoe", "Weaving")
        service = self.service()
        verifyObject(IReadsFields, service)
        service.atoms = {"plan"}
        with mock.patch("finger.backends._accounts.MAX_LIST", 8), capturedLogs() as events:
            moshez = self.successResultOf(service.getProfile("moshez"))
            listed = self.successResultOf(service.getLongProfiles())
        basics = Profile("moshez", "", "Happy", home=str(home), shell="/bin/sh")
        self.assertEqual((moshez, [profile.plan for profile in listed]), (basics, ["Happy", "Weaving"]))
        self.assertEqual(events, [])

    def test_keys(self) -> None:
        """Keys are read as plans are: with the same checks, and the same limit."""
        home = self.addUser("moshez")
        (home / ".pubkey").symlink_to("/etc/passwd")
        (home / ".pgpkey").write_text("one\ntwo\n")
        profile = self.profile("moshez", maxBytes=5)
        self.assertEqual(profile.pubkey, "")
        self.assertEqual(profile.pgpkey, "one\n[The rest is left out: this is longer than 5 bytes.]")

    def test_ampersand(self) -> None:
        """An ampersand in a full name stands for the login, capitalised."""
        self.passwd.add("moshez", gecos="& Z.,,")
        self.assertEqual((self.profile("moshez").name, self.profile("moshez").office), ("Moshez Z.", None))

    def test_notUTF8(self) -> None:
        """Invalid UTF-8 in the database is replaced, not passed on as lone surrogates."""
        self.passwd.add("moshez", gecos=os.fsdecode(b"Mosh\xe9 Z"))
        self.assertEqual(self.profile("moshez").name, "Mosh\N{REPLACEMENT CHARACTER} Z")

    def test_capped(self) -> None:
        """Plans are cut at the administrator's limit."""
        self.addUser("moshez", "one\ntwo\n")
        self.assertIn("longer than 5 bytes", self.profile("moshez", maxBytes=5).status)

    def test_refusal(self) -> None:
        """The reason why a plan is not served is logged once, and not shown to peers."""
        (self.addUser("moshez") / ".plan").symlink_to("/etc/passwd")
        service = self.service()
        with capturedLogs() as events:
            for _ in range(3):
                self.assertEqual(self.successResultOf(service.getUser("moshez")), "No Plan.")
        [event] = events
        self.assertEqual(event["refusal"], f"{self.root}/moshez/.plan: is a symbolic link")


class HidingTests(AccountsTestCase):
    """Users with a C{.nofinger} file."""

    def setUp(self) -> None:
        """Add a user that hides, though with a plan and a full name, and one that does not."""
        super().setUp()
        self.home = self.addUser("hidden", "secret", gecos="Secret")
        (self.home / ".nofinger").touch()
        self.addUser("shown", "hello")

    def test_sameAsUnknown(self) -> None:
        """A hidden user's answer is that of an unknown user, byte for byte, and neither is logged."""
        with capturedLogs() as events:
            self.assertEqual(self.answer("hidden"), self.answer("unknown"))
        self.assertEqual(events, [])
        self.assertEqual(self.answer("hidden"), b"No such user\r\n")

    def test_sameWay(self) -> None:
        """The query goes through a thread whether the user hides, does not exist or is shown."""
        for user in ("hidden", "unknown", "shown"):
            threads = ThreadsDouble()
            deferred = LocalFingerService(self.reactor, self.accounts(), start=threads).getUser(user)
            self.assertNoResult(deferred)
            threads.begun[0]()
            self.assertTrue(deferred.called)
            deferred.addErrback(lambda failure: failure.trap(NoSuchUser))

    def write(self, content: bytes, mode: int = 0o644) -> None:
        """Replace the file C{.nofinger}."""
        (self.home / ".nofinger").write_bytes(content)
        (self.home / ".nofinger").chmod(mode)

    def test_fields(self) -> None:
        """A user whose file names fields, one a line, hides these alone, everywhere."""
        self.write(b"Name\r\n\n  plan \nshell\nmail\nlastlogin\nhome\nlastlogin")
        self.lastLogins["hidden"] = LastLogin(None)
        expected = Profile("hidden", project="", pubkey="", pgpkey="")
        service = self.service()
        self.assertEqual(self.successResultOf(service.getProfile("hidden")), expected)
        self.assertEqual(self.successResultOf(service.getLongProfiles())[0], expected)
        self.assertEqual(self.successResultOf(service.getProfiles())[0], Profile("hidden"))
        self.assertEqual(self.successResultOf(service.getUser("hidden")), "hidden")
        self.assertEqual(self.users(), ["hidden", "shown"])
        self.assertEqual(self.profile("shown").plan, "hello")

    def test_everyField(self) -> None:
        """Each field that can be disclosed can be hidden, and then its file is not read."""
        for name in (".pubkey", ".pgpkey"):
            (self.home / name).symlink_to("/etc/passwd")
        self.write("\n".join(FIELD_OF_ATOM).encode())
        with capturedLogs() as events:
            self.assertEqual(self.profile("hidden"), Profile("hidden"))
            self.assertEqual(self.successResultOf(self.service().getLongProfiles())[0], Profile("hidden"))
        self.assertEqual(events, [])

    def test_otherContent(self) -> None:
        """A file with any other content hides the user altogether, as an empty one does, and nothing is logged."""
        contents = (
            b"\n \n",
            b"plam",
            b"plan project",
            b"plan,project",
            b"# plan",
            b"plan\nlogin",
            b"plan\xff",
            b"pl\0an",
        )
        with capturedLogs() as events:
            for content in (*contents, b"plan\n" * 300):
                self.write(content)
                self.assertEqual(self.answer("hidden"), b"No such user\r\n", content)
                self.assertEqual(self.users(), ["shown"], content)
        self.assertEqual(events, [])

    def test_notServed(self) -> None:
        """A file that would not be served as a plan hides the user altogether, whatever it contains."""
        path = self.home / ".nofinger"
        self.write(b"plan", mode=0o640)
        self.assertEqual(self.users(), ["shown"])
        self.write(b"plan")
        (self.home / "link").hardlink_to(path)
        self.assertEqual(self.users(), ["shown"])
        path.unlink()
        path.symlink_to("/nowhere")
        self.assertEqual(self.users(), ["shown"])
        path.unlink()
        path.mkdir()
        self.failureResultOf(self.service().getUser("hidden"), NoSuchUser)
        path.rmdir()
        makeFIFO(self, path)
        self.failureResultOf(self.service().getUser("hidden"), NoSuchUser)

    def test_notListed(self) -> None:
        """A hidden user is not listed."""
        self.assertEqual(self.users(), ["shown"])

    def test_unseen(self) -> None:
        """If the home directory is not searchable, the user is shown without a plan, as in BSD's finger."""
        with mock.patch("os.stat", side_effect=PermissionError(errno.EACCES, "no")):
            self.assertEqual(self.profile("hidden").status, "No Plan.")
            self.assertEqual(self.users(), ["hidden", "shown"])

    def test_broken(self) -> None:
        """If an error prevents the check for C{.nofinger}, a query fails, and the list leaves the user out."""
        with mock.patch("os.stat", side_effect=OSError(errno.EIO, "the disk is dead")):
            self.failureResultOf(self.service().getUser("hidden"), BackendUnavailable)
            with capturedLogs() as events:
                self.assertEqual(self.users(), [])
        self.assertEqual(len(events), 2)
        self.assertEqual(events[0]["refusal"], f"{self.home}: left out of the list: the disk is dead")


class UserTests(AccountsTestCase):
    """The accounts that are users."""

    def test_people(self) -> None:
        """People that can log in are listed; a query also finds the others."""
        self.passwd.add("bob")
        self.passwd.add("alice", shell="")
        self.passwd.add("mailonly", shell="/usr/sbin/nologin")
        self.passwd.add("left", shell="/bin/false")
        self.assertEqual(self.users(), ["alice", "bob"])
        self.assertEqual(self.profile("mailonly").login, "mailonly")

    def test_systemAccounts(self) -> None:
        """System accounts are neither listed nor found, except that a query finds root."""
        self.passwd.add("root", uid=0, gecos="Charlie &")
        self.passwd.add("postgres", uid=101)
        self.passwd.add("nobody", uid=65534)
        self.assertEqual(self.users(uidRange=range(1000, 60001)), [])
        self.assertEqual(self.profile("root", uidRange=range(1000, 60001)).name, "Charlie Root")
        for user in ("postgres", "nobody"):
            self.failureResultOf(self.service(uidRange=range(1000, 60001)).getUser(user), NoSuchUser)

    def test_names(self) -> None:
        """A name that cannot be a login is not looked up."""
        names = ["", ".", "..", "-a", "a/b", "/etc/passwd", "../../x", "a\0", "a\n", "a b", ";id", "|id", "%n", "*"]
        for name in [*names, "search.**", "caf\xe9", "\u0661", "a@b", "a:b", ".plan", "x" * 256, "\udc80"]:
            self.failureResultOf(self.service().getProfile(name), NoSuchUser)
            self.assertRaises(NoSuchUser, self.accounts().find, name)
        self.assertEqual(self.passwd.asked, [])

    def test_otherNames(self) -> None:
        """A user is not found by uid or in capitals, even if a name service accepts these."""
        self.addUser("moshez")
        for name in (str(ME), "MOSHEZ"):
            self.failureResultOf(self.service().getProfile(name), NoSuchUser)
            self.assertEqual(self.passwd.asked.pop(), name)

    def test_numericName(self) -> None:
        """A login may consist of digits, such as a student's number."""
        self.passwd.add("20261234")
        self.assertEqual(self.profile("20261234").login, "20261234")

    def test_listedTwice(self) -> None:
        """A user of two name services is listed once, from the first; an entry without a valid login is skipped."""
        self.passwd.add("moshez", gecos="First")
        self.passwd.add("moshez", gecos="Second")
        self.passwd.add("+@netgroup")
        [profile] = self.successResultOf(self.service().getProfiles())
        self.assertEqual(profile, Profile("moshez", name="First", home="/nonexistent", shell="/bin/sh"))

    def test_longList(self) -> None:
        """The long form of the list has the profiles that queries find, without the users that hide."""
        self.addUser("moshez", "Happy", gecos="Moshe Z")
        self.addUser("ada", "Weaving")
        (self.addUser("hidden", "secret") / ".nofinger").touch()
        service = self.service()
        listed = self.successResultOf(service.getLongProfiles())
        self.assertEqual([profile.plan for profile in listed], ["Weaving", "Happy"])
        self.assertEqual(listed, [self.successResultOf(service.getProfile(user)) for user in ("ada", "moshez")])

    def test_longestList(self) -> None:
        """Once the plans have the maximum length together, no more are read, but all users are listed."""
        for number in range(4):
            self.addUser(f"user{number}", "x" * 10)
        with mock.patch("finger.backends._accounts.MAX_LIST", 15):
            listed = self.successResultOf(self.service().getLongProfiles())
        self.assertEqual([profile.plan for profile in listed], ["x" * 10, "x" * 10, None, None])

    def test_uidRange(self) -> None:
        """The range of people's uids comes from the system's configuration."""
        path = Path(self.mktemp())
        self.assertEqual(readUIDRange(path), range(1000, 60001))
        path.write_text("#UID_MIN 1\nUID_MIN\t\t  500\nUID_MAX few\nSYS_UID_MAX 999\n")
        self.assertEqual(readUIDRange(path), range(500, 60001))
        makeFIFO(self, path)
        self.assertEqual(readUIDRange(path), range(1000, 60001))


class SystemTests(SynchronousTestCase):
    """The real databases of this machine."""

    def test_getpwnam(self) -> None:
        """A user is found."""
        self.assertEqual(SystemPasswd().getpwnam("root").pw_uid, 0)

    def test_getpwall(self) -> None:
        """The list is that of the module C{pwd}."""
        self.assertEqual(SystemPasswd().getpwall(), pwd.getpwall())

    def test_withoutGetent(self) -> None:
        """Without C{getent}, the module is used."""
        self.assertEqual(SystemPasswd(("/nonexistent/getent",)).getpwall(), pwd.getpwall())

    def test_broken(self) -> None:
        """A command that fails or times out is an error."""
        for passwd in (SystemPasswd(("false",)), SystemPasswd(("sleep", "60"), timeout=0.01)):
            self.assertRaises(OSError, passwd.getpwall)

    def test_parsePasswd(self) -> None:
        """Invalid lines are skipped; only a newline ends a line."""
        text = "a:x:1:2:A\u2028B:/:/bin/sh\n\nb:x:1\n+::::::\nc:x:1:two:::\n"
        self.assertEqual(parsePasswd(text), [pwd.struct_passwd(("a", "x", 1, 2, "A\u2028B", "/", "/bin/sh"))])

    def test_root(self) -> None:
        """With all defaults, root is found."""
        profile = self.successResultOf(LocalFingerService(AtOnce(), start=run).getProfile("root"))
        self.assertEqual((profile.login, profile.home), ("root", pwd.getpwnam("root").pw_dir))
        self.assertEqual(profile.lastLogin, findLastLogin("root", 0))


class MailTests(AccountsTestCase):
    """Mailboxes."""

    def test_none(self) -> None:
        """A missing or empty mailbox has no mail."""
        self.assertEqual(readMail(self.mail / "moshez"), Mail(None))
        (self.mail / "moshez").touch()
        self.assertEqual(readMail(self.mail / "moshez"), Mail(None))

    def test_states(self) -> None:
        """Mail that arrived after the mailbox was last read is unread."""
        self.passwd.add("moshez")
        box = self.mail / "moshez"
        box.write_text("From us\n")
        early, late = datetime.fromtimestamp(1000, UTC), datetime.fromtimestamp(2000, UTC)
        os.utime(box, (1000, 2000))
        self.assertEqual(self.profile("moshez").mail, Mail(late, unreadSince=early))
        os.utime(box, (2000, 1000))
        self.assertEqual(self.profile("moshez").mail, Mail(early))

    def test_unknown(self) -> None:
        """The state is not known if the mailbox is not a file, cannot be examined or has an invalid time."""
        (self.mail / "maildir").mkdir()
        (self.mail / "link").symlink_to("/etc/passwd")
        for name in ("maildir", "link", "x" * 256):
            self.assertIsNone(readMail(self.mail / name))
        box = self.mail / "moshez"
        box.write_text("From us\n")
        with mock.patch("finger.backends._accounts._toTime", side_effect=OverflowError):
            self.assertIsNone(readMail(box))


class UnprivilegedTests(AccountsTestCase):
    """Lookups in a process without privileges, which reads the files of other users."""

    def setUp(self) -> None:
        """Require root."""
        if ME:
            raise SkipTest("only root can become nobody")
        super().setUp()

    def askAsNobody(self, user: str) -> str:
        """Return the answer of a process that runs as the user nobody."""
        readable, writable = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                os.write(writable, self.answer(user))
            except BaseException:
                os.write(writable, Failure().getTraceback().encode())
            finally:
                os._exit(0)
        os.close(writable)
        with os.fdopen(readable, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        return answer.decode()

    def addForeigner(self, mode: int = 0o755) -> Path:
        """Add a user that is neither root nor nobody."""
        home = self.addUser("moshez", "secret", uid=12345)
        for path in (home / ".plan", home):
            os.chown(path, 12345, 12345)
        home.chmod(mode)
        return home

    def accounts(self, **options: Any) -> Accounts:
        """Make accounts that include this user."""
        return super().accounts(uidRange=range(12345, 12346), **options)

    def test_readable(self) -> None:
        """A plan that all users may read is served."""
        self.addForeigner(0o711)
        self.assertIn("secret", self.askAsNobody("moshez"))

    def test_privatePlan(self) -> None:
        """A plan that only its owner may read is not served."""
        (self.addForeigner() / ".plan").chmod(0o600)
        answer = self.askAsNobody("moshez")
        self.assertIn("No Plan.", answer)
        self.assertEqual(answer.encode(), self.answer("moshez"))  # It is not served by root either.

    def test_privateHome(self) -> None:
        """In a directory that only its owner may search, neither the plan nor C{.nofinger} is seen."""
        (self.addForeigner(0o700) / ".nofinger").touch()
        self.assertIn("No Plan.", self.askAsNobody("moshez"))

    def test_hidden(self) -> None:
        """In a searchable directory, C{.nofinger} is seen."""
        (self.addForeigner(0o711) / ".nofinger").touch()
        self.assertEqual(self.askAsNobody("moshez"), "No such user\r\n")

    def test_foreignPlan(self) -> None:
        """A plan that belongs to root is not served."""
        os.chown(self.addForeigner() / ".plan", 0, 0)
        self.assertIn("No Plan.", self.askAsNobody("moshez"))


class ReadingsTests(SynchronousTestCase):
    """The number, the timeout and the sharing of threads."""

    def setUp(self) -> None:
        """Make readings with two threads and a timeout of ten seconds."""
        self.reactor = AtOnce()
        self.threads = ThreadsDouble()
        self.readings = Readings(self.reactor, deadline=10, maxThreads=2, start=self.threads)

    def read(self, key: str) -> Deferred[Found]:
        """Read a profile with this key as its login."""
        return self.readings.read(key, lambda: Found((Profile(key),)))

    def test_atMost(self) -> None:
        """Readings beyond the limit are queued."""
        readings = [self.read(key) for key in "abc"]
        self.assertEqual(len(self.threads.begun), 2)
        self.threads.begun[1]()
        self.successResultOf(readings[1])
        self.assertEqual(len(self.threads.begun), 3)
        self.threads.begun[2]()
        self.assertEqual(self.successResultOf(readings[2]).profiles[0].login, "c")
        self.threads.begun[0]()
        self.successResultOf(readings[0])

    def test_shared(self) -> None:
        """Simultaneous readings of the same key share the result of one thread."""
        readings = [self.read("a") for _ in range(5)]
        [thread] = self.threads.begun
        thread()
        for reading in readings:
            self.assertEqual(self.successResultOf(reading).profiles[0].login, "a")
        self.assertNoResult(self.read("a"))
        self.assertEqual(len(self.threads.begun), 2)

    def test_deadline(self) -> None:
        """A stuck reading fails; until it ends, others of its key fail at once, and those of other keys succeed."""
        first = self.read("stuck")
        self.reactor.advance(9)
        second = self.read("stuck")
        self.reactor.advance(1)
        self.failureResultOf(first, BackendUnavailable)
        self.assertNoResult(second)
        self.failureResultOf(self.read("stuck"), BackendUnavailable)
        other = self.read("other")
        self.threads.begun[1]()
        self.successResultOf(other)
        self.reactor.advance(9)
        self.failureResultOf(second, BackendUnavailable)
        self.threads.begun[0]()  # The file server answers again.
        again = self.read("stuck")
        self.threads.begun[2]()
        self.successResultOf(again)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_allStuck(self) -> None:
        """If all threads are stuck, queued readings fail after the timeout, and their work is never started."""
        stuck = [self.read(key) for key in "ab"]
        queued = [self.read("c"), self.read("c"), self.read("d")]
        self.reactor.advance(10)
        for reading in stuck + queued:
            self.failureResultOf(reading, BackendUnavailable)
        for thread in self.threads.begun[:]:
            thread()
        self.assertEqual(len(self.threads.begun), 2)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """Cancelling a reading does not cancel those that share its thread, even in a callback of one of them."""
        readings = [self.read("a") for _ in range(3)]
        readings[0].cancel()
        self.failureResultOf(readings[0], CancelledError)
        readings[1].addCallback(lambda found: readings[2].cancel())
        self.threads.begun[0]()
        self.successResultOf(readings[1])
        self.failureResultOf(readings[2], CancelledError)

    def test_failures(self) -> None:
        """A system error becomes L{BackendUnavailable}; other exceptions are unchanged."""
        for error, expected in (
            (OSError(errno.EIO, "dead"), BackendUnavailable),
            (NoSuchUser("x"), NoSuchUser),
            (SystemExit(), SystemExit),
            (ZeroDivisionError(), ZeroDivisionError),
        ):
            deferred = self.readings.read("a", mock.Mock(side_effect=error))
            self.threads.begun.pop()()
            self.failureResultOf(deferred, expected)

    def test_noThreads(self) -> None:
        """If no thread can be started, the reading fails, and the next one tries again."""
        start = mock.Mock(side_effect=[RuntimeError("can't start new thread"), None])
        readings = Readings(self.reactor, start=start)
        self.failureResultOf(readings.read("a", mock.Mock()), BackendUnavailable)
        self.assertNoResult(readings.read("a", mock.Mock()))


class ThreadTests(AccountsTestCase):
    """Real threads."""

    def test_daemon(self) -> None:
        """Threads are daemons."""
        threads: SimpleQueue[Any] = SimpleQueue()
        startThread(lambda: threads.put(current_thread()))
        self.assertTrue(threads.get(timeout=60).daemon)

    def test_othersAreAnswered(self) -> None:
        """While one lookup is stuck, queries for other users and the list are answered."""
        self.addUser("moshez", "here")
        self.addUser("stuck")
        isBack = Event()
        self.addCleanup(isBack.set)
        find = self.passwd.getpwnam

        def hang(name: str, /) -> pwd.struct_passwd:
            if name == "stuck":
                isBack.wait(60)
            return find(name)

        self.passwd.getpwnam = hang  # type: ignore[method-assign]
        reactor = ReactorDouble()
        service = LocalFingerService(reactor, self.accounts(), maxThreads=2)
        stuck = [service.getUser("stuck") for _ in range(10)]
        for ask, expected in ((lambda: service.getUser("moshez"), "here"), (service.getUsers, ["moshez", "stuck"])):
            answer: Deferred[Any] = ask()
            reactor.callNext()
            self.assertEqual(self.successResultOf(answer), expected)
        self.assertFalse(any(query.called for query in stuck))
        isBack.set()
        reactor.callNext()
        for query in stuck:
            self.assertEqual(self.successResultOf(query), "No Plan.")

    def test_exit(self) -> None:
        """A process can end while a thread of it is stuck."""
        program = """
import threading
from twisted.internet import reactor
from finger.backends.local import LocalFingerService

class Stuck:
    def find(self, login, atoms):
        reactor.callFromThread(reactor.stop)
        threading.Event().wait()

service = LocalFingerService(reactor, Stuck())
reactor.callWhenRunning(service.getUser, "anybody")
reactor.run()
"""
        path = os.pathsep.join([str(Path(finger.__file__).parent.parent), *sys.path])
        done = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": path}, timeout=60, capture_output=True
        )
        self.assertEqual((done.returncode, done.stderr), (0, b""))


class BackendTests(SynchronousTestCase):
    """C{--backend=local}."""

    def test_plugin(self) -> None:
        """The back end is a plugin."""
        verifyObject(IFingerBackend, LocalBackend())
        verifyObject(IPlugin, LocalBackend())

    def test_make(self) -> None:
        """The plugin makes the service."""
        self.assertIsInstance(LocalBackend().makeBackend("", Clock()), LocalFingerService)

    def test_argument(self) -> None:
        """An argument is an error that names it."""
        error = self.assertRaises(ConfigError, LocalBackend().makeBackend, "/etc", Clock())
        self.assertIn("--backend=local:/etc", str(error))
