"""Stages 16 and 18: the bot on IRC."""

from ..harness import Running
from ._registry import (
    GUEST_PRINTABLE,
    SECRET,
    bot_on_irc,
    expect,
    expect_answer,
    irc_answer,
    promise,
    promise_elsewhere,
)


@promise
def irc_bot_answers(running: Running) -> None:
    """A private message with a user's name is answered with the status, to the one who asked."""
    irc = bot_on_irc(running)
    answer = irc_answer(running, irc, " moshez ")
    expect(answer.startswith("PRIVMSG asker :"), "PRIVMSG asker :...", answer)
    expect(answer.endswith("Happy and well"), "Happy and well", answer)
    answer = irc_answer(running, irc, "nobody-of-that-name")
    expect(answer.endswith("No such user"), "No such user", answer)


@promise
def irc_bot_keeps_quiet_in_channels(running: Running) -> None:
    """What is said in a channel is not for the bot."""
    irc = bot_on_irc(running)
    before = len(irc.said())
    irc.tell("moshez", to="#channel")
    irc_answer(running, irc, "moshez")
    expect(len(irc.said()) == before + 1, "one answer", irc.said()[before:])


@promise
def irc_answer_is_one_line(running: Running) -> None:
    """A status of several lines makes one message: what follows a line end would be a command."""
    irc = bot_on_irc(running)
    lines = len(irc.lines)
    answer = irc_answer(running, irc, "guest")
    expect(answer.endswith(" ".join(GUEST_PRINTABLE.split("\n"))), "one line", answer)
    irc_answer(running, irc, "moshez\x10r\x10nQUIT")  # \x10r is IRC's way to write a CR
    others = [line for line in irc.lines[lines:] if not line.startswith(("PRIVMSG", "PING"))]
    expect(not others, "no other command", others)


@promise
def irc_bot_comes_back(running: Running) -> None:
    """When the IRC server has closed the connection, the bot logs in again."""
    irc = bot_on_irc(running)
    logins = irc.logins
    irc.drop()
    running.wait_for(lambda: irc.logins > logins, "another login", lambda: irc.logins)


@promise_elsewhere
def works_without_irc(running: Running) -> None:
    """Without an IRC server everything else works, and the bot is there once the server is."""
    lonely = running.troubled()
    expect_answer(lonely, b"quick\r\n", b"quick answer\r\n")
    irc = lonely.late_irc()
    lonely.wait_for(lambda: irc.bot, "a bot once there is a server", lambda: irc.lines)


@promise_elsewhere
def irc_answer_of_a_failed_lookup(running: Running) -> None:
    """A lookup that fails is answered on IRC with `Internal error in server`, no more."""
    lonely = running.troubled()
    irc = lonely.late_irc()
    lonely.wait_for(lambda: irc.bot, "a bot once there is a server", lambda: irc.lines)
    for text in "fail", "raise":
        answer = irc_answer(lonely, irc, text)
        expect("Internal error in server" in answer, "Internal error in server", answer)
        expect(SECRET not in answer, "no reason", answer)


@promise
def irc_bot_says_whose_status(running: Running) -> None:
    """The bot's answer is `Status of moshez: Happy and well`."""
    answer = irc_answer(running, bot_on_irc(running), "moshez")
    wanted = "PRIVMSG asker :Status of moshez: Happy and well"
    expect(answer == wanted, wanted, answer)
