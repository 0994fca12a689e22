"""The stepper's commands, typed one after the other by a learner."""

import importlib.util
import json
import pydoc
import re
from pathlib import Path

from ..doubles import FingerServer
from ..stages import TUTORIAL
from ..stepper import paper, progress, starting
from ..stepper.cli import COMMANDS, makeParser
from .session import STAGES, Session


class FindingTests(Session):
    """Which stage was meant, and what comes next."""

    def test_ways_to_write_a_stage(self) -> None:
        for typed, number in {
            "7": "07",
            "07": "07",
            "18A": "18a",
            "finger07.py": "07",
            "xr": "XR",
            "PROXY": "proxy",
        }.items():
            self.assertIn(f"Stage {number}:", self.step("show", typed))

    def test_unknown_stage_suggests_near_ones(self) -> None:
        self.assertIn("Near it: 07, 07a.", self.refused("show", "7b"))
        self.assertIn("18a", self.refused("diff", "18x"))
        self.assertIn("Near it: proxy.", self.refused("try", "prox"))
        self.assertIn("list", self.refused("check", "100"))

    def test_unknown_command(self) -> None:
        self.assertIn("Did you mean", self.refused("lst"))
        self.assertIn("show 7", self.refused("7"))
        self.assertIn("--help", self.refused("xyzzy"))
        self.assertIn("--nonsense", self.refused("list", "--nonsense"))

    def test_one_next_thing(self) -> None:
        for words, wanted in [
            ((), "show 01"),
            (("show", "02"), "try 02"),
            (("try", "02"), "start 02"),
            (("start", "02"), "check 02"),
            (("check", "02"), "next"),
            (("next",), "show 03"),
        ]:
            said = self.step(*words)
            self.assertEqual(re.findall(r"^Next: .* -m tutorial (.*?)    \(", said, re.M), [wanted], said)
            self.assertIn(wanted, self.step())

    def test_help_names_every_command(self) -> None:
        text = makeParser().format_help()
        for name in COMMANDS:
            self.assertIn(f"    {name} ", text)


class ReadingTests(Session):
    """list, show, diff, compare."""

    def test_list(self) -> None:
        said = self.step("list")
        for stage in STAGES.values():
            self.assertRegex(
                said, rf"(?m)^.{{5}}{stage.number}\b.*{re.escape(stage.title)}\s+{re.escape(stage.introduces)}"
            )
        self.assertIn("->   01", said)

    def test_show(self) -> None:
        said = self.step("show", "07")
        self.assertIn("Stage 06a does not do this yet:\n  - moshez is `Happy and well`", said)
        self.assertIn("The new idea: a factory with arguments", said)
        self.assertIn(STAGES["07"].path.read_text(), said)

    def test_show_brings_the_new_helpers(self) -> None:
        said = self.step("show", "19a")
        self.assertIn("class MemoryFingerService", said)
        self.assertNotIn("finger_interfaces.py, ", said)

    def test_diff(self) -> None:
        said = self.step("diff", "07")
        self.assertIn('+USERS = {"moshez": "Happy and well"}', said)
        self.assertNotIn("\x1b", said)
        self.assertIn("begins afresh", self.step("diff", "01"))

    def test_colours(self) -> None:
        self.patch(paper, "interactive", lambda: True)
        self.patch(pydoc, "pager", print)
        self.setVariable("TERM", "xterm")
        self.assertIn("\x1b[32m+USERS", self.step("diff", "07"))
        self.setVariable("NO_COLOR", "1")
        self.assertNotIn("\x1b", self.step("diff", "07"))

    def test_pages_only_what_is_too_long(self) -> None:
        paged: list[str] = []
        self.patch(paper, "interactive", lambda: True)
        self.patch(pydoc, "pager", paged.append)
        self.setVariable("LINES", "30")
        self.step("show", "01")
        self.assertEqual(paged, [])
        self.step("show", "22")
        self.assertEqual(len(paged), 1)

    def test_compare(self) -> None:
        self.assertIn("start 07", self.refused("compare", "07"))
        self.step("start", "07")
        self.assertIn("is the same as", self.step("compare", "07"))
        self.changeCopy("Happy and well", "Sad")
        self.assertIn('+USERS = {"moshez": "Sad"}', self.step("compare", "07", "my/finger07.py"))
        self.assertIn("no file nowhere", self.refused("compare", "07", "nowhere"))


class CopyTests(Session):
    """start"""

    def test_copies_and_never_overwrites(self) -> None:
        self.assertIn("my/finger07.py is yours now", self.step("start", "07"))
        self.changeCopy("Happy and well", "Sad")
        self.assertIn("stays as it is", self.step("start", "07"))
        self.assertIn("Sad", Path("my/finger07.py").read_text())
        Path("other.py").write_text("mine")
        self.assertIn("stays as it is", self.refused("start", "07", "other.py"))
        self.assertEqual(Path("other.py").read_text(), "mine")

    def test_goes_where_it_is_told_to(self) -> None:
        self.step("start", "07", "here.py")
        self.step("start", "08", "deep/in/")
        self.assertTrue(Path("here.py").is_file() and Path("deep/in/finger08.py").is_file())
        self.assertIn("own files", self.refused("start", "07", str(TUTORIAL / "new.py")))
        Path("plain").write_text("")
        self.assertIn("cannot be written", self.refused("start", "07", "plain/file.py"))

    def test_helpers_and_users_come_along(self) -> None:
        self.step("start", "19a")
        self.step("start", "14")
        names = {path.name for path in Path("my").iterdir()}
        self.assertLessEqual({"finger19a_changes.py", "finger_interfaces.py", "users", ".gitignore"}, names)

    def test_the_stage_before(self) -> None:
        self.step("start", "06a")
        self.changeCopy("50", "40", "my/finger06a.py")
        self.step("start", "07", "--before")
        self.assertEqual(Path("my/finger07.py").read_text(), Path("my/finger06a.py").read_text())
        self.assertIn("Nothing comes before", self.refused("start", "01", "--before"))


class ConversationTests(Session):
    """try and ask"""

    def test_finger(self) -> None:
        said = self.step("try", "07")
        self.assertIn("sent      moshez\\r\\n\n  received  Happy and well\\r\\n\n", said)
        self.assertIn("closed the connection", said)

    def test_stages_that_say_nothing(self) -> None:
        self.assertIn("refused", self.step("try", "01"))
        self.assertIn("still open", self.step("try", "02"))
        self.assertIn("without a byte", self.step("try", "03"))

    def test_own_copy_and_own_users(self) -> None:
        self.step("start", "14")
        Path("my/users").write_text("me: Learning\n")
        self.assertIn("Learning\\r\\n", self.step("try", "14", "me"))
        self.assertIn("No such user\\r\\n", self.step("try", "14", "me", "--original"))

    def test_every_way(self) -> None:
        for number, way, wanted in [
            ("12", "setter", "Learning Twisted"),
            ("22", "web", "GET /moshez HTTP/1.0\\r\\n"),
            ("22", "xmlrpc", "<string>Happy and well</string>"),
            ("22", "irc", "Status of moshez: Happy and well"),
            ("22", "pb", "came      'Happy and well'"),
            ("22", "https", "status 200"),
        ]:
            self.assertIn(wanted, self.step("try", number, "--over", way))
        self.assertIn("does not speak web; it speaks finger", self.refused("try", "07", "--over", "web"))

    def test_client(self) -> None:
        self.assertIn("\nHappy and well\n", self.step("try", "XR"))

    def test_ask(self) -> None:
        server = FingerServer()
        self.addCleanup(server.stop)
        self.assertIn("received  Happy and well", self.step("ask", "moshez", "--port", str(server.port)))
        self.assertEqual(server.asked, [b"moshez\r\n"])
        self.assertIn("Nobody listens on port 1", self.refused("ask", "--port", "1"))


class CheckTests(Session):
    """check and next"""

    def test_the_tutorials_own_file(self) -> None:
        said = self.step("check", "02")
        self.assertIn("the tutorial's own", said)
        self.assertIn("promises kept", said)
        self.assertFalse(progress.load().passed)

    def test_broken_promise_says_expected_and_got(self) -> None:
        self.step("start", "07")
        self.changeCopy("Happy and well", "Sad")
        said = self.step("check", "07", status=1)
        self.assertIn(r"expected b'Happy and well\r\n' for b'moshez\r\n'", said)
        self.assertIn(r"got b'Sad\r\n'", said)
        self.assertIn("  ok  A name nobody has gets", said)
        self.assertIn("1 of 12 promises broken", said)

    def test_a_file_that_does_not_start(self) -> None:
        for text, reason in [
            ("x = (", r"bad.py, line 1: this is no Python"),
            ("import nothing_of_that_name", r"bad.py, line 1: ModuleNotFoundError"),
            ("x = 1\n\nraise ValueError('no good')", r"bad.py, line 3: ValueError: no good"),
            ("raise SystemExit('gone')", r"bad.py ended with exit code 1. gone"),
        ]:
            Path("bad.py").write_text(text)
            for words in ["check", "07", "bad.py"], ["try", "07", "--file", "bad.py"]:
                self.assertRegex(self.refused(*words), reason)
        self.assertIn("folder", self.refused("check", "07", "."))

    def test_a_file_that_opens_no_port(self) -> None:
        self.patch(starting, "START_DEADLINE", 1.5)
        Path("deaf.py").write_text("from twisted.internet import reactor\nreactor.run()\n")
        self.assertIn("not all its ports are open: ", self.refused("check", "07", "deaf.py"))

    def test_next_needs_a_copy_that_passes(self) -> None:
        self.patch(starting, "PATIENCE", 1.0)
        self.step("show", "03")
        self.assertIn("start 03", self.refused("next"))
        self.step("start", "03")
        self.changeCopy("loseConnection()", "write(b'?')", "my/finger03.py")
        self.assertIn("next --skip", self.step("next", status=1))
        self.assertIn("Now stage 04", self.step("next", "--skip"))
        self.assertIn("--   03", self.step("list"))

    def test_next_checks_again_only_what_has_changed(self) -> None:
        self.step("start", "03")
        self.assertIn("Checking", self.step("next"))
        self.step("start", "03")
        self.assertNotIn("Checking", self.step("next"))
        self.step("start", "03")
        self.changeCopy("Stage 03", "Step 03", "my/finger03.py")
        self.assertIn("Checking", self.step("next"))

    def test_the_last_stage(self) -> None:
        last = list(STAGES)[-1]
        self.step("show", last)
        self.assertIn("the last stage", self.step("next", "--skip"))

    def test_without_twisted(self) -> None:
        self.patch(importlib.util, "find_spec", lambda name: None)
        self.assertIn("This Python has no Twisted", self.refused("check", "07"))


class ExerciseTests(Session):
    """exercise"""

    def test_from_stub_to_solution(self) -> None:
        self.assertIn("07    Capitals", self.step("exercise"))
        self.assertIn("my/exercise07.py is where you begin", self.step("exercise", "7"))
        self.assertIn(r"for b'Moshez\r\n'", self.step("exercise", "7", status=1))
        self.changeCopy("users.get(user,", "users.get(user.lower(),", "my/exercise07.py")
        self.assertIn("Done.", self.step("exercise", "7"))
        self.assertIn("ok   07", self.step("exercise"))

    def test_named_file_and_texts(self) -> None:
        solution = TUTORIAL / "exercises" / "19a" / "solution.py"
        self.assertIn("Done.", self.step("exercise", "19a", str(solution)))
        self.assertIn("if user in self.users", self.step("exercise", "19a", "--solution"))
        self.assertIn("# Nobody invents a user", self.step("exercise", "19a", "--task"))
        self.assertIn("has no exercise", self.refused("exercise", "02"))


class ProgressTests(Session):
    """What is kept, and what becomes of it when it makes no sense."""

    def test_kept(self) -> None:
        self.step("start", "07")
        self.assertEqual(json.loads(self.state.read_text())["current"], "07")
        self.assertIn("You are at stage 07", self.step())

    def test_broken_file_is_set_aside(self) -> None:
        self.state.parent.mkdir()
        for number, text in enumerate(['{"current"', "[]", '{"seen": 7}', '{"copies": {"07": 3}}', "\udcff"], 1):
            self.state.write_bytes(text.encode("utf-8", "surrogateescape"))
            self.assertIn("beginning", self.step())
            self.assertEqual(len(self.error.splitlines()), 1)
            self.assertEqual(len(list(self.state.parent.glob("*.broken*"))), number)

    def test_unknown_stage_in_it(self) -> None:
        self.state.parent.mkdir()
        self.state.write_text('{"current": "99", "passed": {"99": "x"}, "more": 1}')
        self.assertIn("You are at stage 01", self.step())

    def test_where_it_is(self) -> None:
        self.setVariable("FINGER_TUTORIAL_STATE", None)
        self.setVariable("XDG_STATE_HOME", str(self.folder / "xdg"))
        self.step("show", "03")
        self.assertTrue((self.folder / "xdg/finger-tutorial/progress.json").is_file())
        self.setVariable("XDG_STATE_HOME", None)
        self.setVariable("HOME", str(self.folder / "home"))
        self.step("show", "03")
        self.assertTrue((self.folder / "home/.local/state/finger-tutorial/progress.json").is_file())

    def test_cannot_be_written(self) -> None:
        (self.folder / "file").write_text("")
        self.setVariable("FINGER_TUTORIAL_STATE", str(self.folder / "file" / "progress.json"))
        self.assertIn("Stage 03", self.step("show", "03"))
        self.assertIn("cannot be kept", self.error)

    def test_copy_that_has_gone(self) -> None:
        self.step("start", "03")
        Path("my/finger03.py").unlink()
        self.assertIn("start 03", self.step())
