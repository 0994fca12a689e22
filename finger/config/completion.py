"""Completion scripts for bash, zsh and fish, made from the tables of our commands' options."""

from __future__ import annotations

from argparse import Action
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from finger.config.options import COMMAND, SHELLS, Option, OptionTable

CLIENT = "twisted-finger"


@dataclass(frozen=True, slots=True)
class Word:
    """
    One option, as shells see it.

    @ivar names: all its names, with their dashes.
    @ivar value: the placeholder of its value; empty for an option without a value.
    @ivar help: its help text.
    @ivar choices: the values to offer.
    @ivar completes: the kind of path to offer: C{files}, C{directories}, or empty for none.
    @ivar repeated: whether it may be given more than once.
    """

    names: tuple[str, ...]
    value: str
    help: str
    choices: tuple[str, ...] = ()
    completes: str = ""
    repeated: bool = False


def daemonCompletion(shell: str, table: OptionTable) -> str:
    """
    Return the completion script of the daemon.

    @param shell: C{bash}, C{zsh} or C{fish}.
    @param table: the options.
    @raise ValueError: if the shell is another.
    """
    return _completion(shell, COMMAND, [word for option in table for word in _words(option)])


def clientCompletion(shell: str, options: Iterable[Action]) -> str:
    """
    Return the completion script of the client.

    @param shell: see L{daemonCompletion}.
    @param options: the options.
    """
    return _completion(shell, CLIENT, [_word(option) for option in options])


def _word(option: Action) -> Word:
    takesValue = option.nargs not in (0, "?")
    return Word(
        tuple(option.option_strings),
        str(option.metavar or option.dest.upper()) if takesValue else "",
        (option.help or "").replace("%(default)s", str(option.default)),
        tuple(option.choices or ()),
    )


def _words(option: Option) -> Iterator[Word]:
    names = (f"-{option.short}", f"--{option.name}") if option.short else (f"--{option.name}",)
    if option.kind is None or option.off:
        yield Word(names, "", option.help)
        if option.off:
            yield Word((f"--{option.off}",), "", f"Turn off --{option.name}.")
        return
    kind = option.kind
    yield Word(names, option.value, option.help, kind.choices, kind.completes, option.repeated)


def _completion(shell: str, command: str, words: Sequence[Word]) -> str:
    if shell not in SHELLS:
        raise ValueError(f"should be one of {', '.join(SHELLS)}")
    write = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]
    return "\n".join([*write(command, words), f"# Made by '{command} --completion={shell}'."])


def _bash(command: str, words: Sequence[Word]) -> Iterator[str]:
    function = "_" + command.replace("-", "_")
    yield f"{function}() {{"
    yield "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}"
    yield "    # Bash splits --name=value at the equals sign, which becomes a word of its own."
    yield "    [[ $current == = ]] && current="
    yield "    [[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD-2]}"
    yield "    # After -- come no options."
    yield "    [[ \" ${COMP_WORDS[*]:1:COMP_CWORD-1} \" == *' -- '* ]] && COMPREPLY=() && return"
    yield "    case $previous in"
    for word in words:
        if word.value:
            yield f"        {'|'.join(word.names)})"
            yield f"            {_bashValues(word)}"
            yield "            return ;;"
    yield "    esac"
    names = [name + ("=" if word.value and name.startswith("--") else "") for word in words for name in word.names]
    yield f"    COMPREPLY=($(compgen -W '{' '.join(names)}' -- \"$current\"))"
    yield "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace"
    yield "}"
    yield f"complete -F {function} {command}"


def _bashValues(word: Word) -> str:
    if word.completes:
        kind = {"files": "f", "directories": "d"}[word.completes]
        return f'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -{kind} -- "$current")'
    return f"COMPREPLY=($(compgen -W '{' '.join(word.choices)}' -- \"$current\"))" if word.choices else "COMPREPLY=()"


def _zsh(command: str, words: Sequence[Word]) -> Iterator[str]:
    yield f"#compdef {command}"
    yield "_arguments -s -S \\"
    lines = [line for word in words for line in _zshOption(word)]
    yield from (f"    {line} \\" for line in lines[:-1])
    yield f"    {lines[-1]}"


def _zshOption(word: Word) -> Iterator[str]:
    for name in word.names:
        others = "" if word.repeated else f"({' '.join(word.names)})"
        many = "*" if word.repeated else ""
        equals = "=" if word.value and name.startswith("--") else "+" if word.value else ""
        action = f":{_zshEscape(word.value)}:{_zshValues(word)}" if word.value else ""
        yield _quoted(f"{others}{many}{name}{equals}[{_zshEscape(word.help)}]{action}")


def _zshValues(word: Word) -> str:
    if word.completes == "files":
        return "_files"
    if word.completes == "directories":
        return "_files -/"
    return f"({' '.join(word.choices)})" if word.choices else " "


def _zshEscape(text: str) -> str:
    return "".join(f"\\{character}" if character in "\\[]:" else character for character in text)


def _fish(command: str, words: Sequence[Word]) -> Iterator[str]:
    yield f"complete -c {command} -f"
    for word in words:
        parts = [f"complete -c {command}"]
        parts += [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in word.names]
        if word.value:
            parts.append("-x" if word.completes == "" else "-r")
        if word.completes == "files":
            parts.append("-F")
        if word.completes == "directories":
            # Without this, fish takes a bare --name= as the beginning of a directory's name.
            typed = '(commandline -ct | string replace -r "^--[^=]*=" "")'
            parts.append(f"-xa '(__fish_complete_directories {typed})'")
        if word.choices:
            parts.append(f"-a {_quoted(' '.join(word.choices))}")
        yield " ".join([*parts, f"-d {_fishQuoted(word.help)}"])


def _quoted(text: str) -> str:
    """Return a text in single quotes, for a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fishQuoted(text: str) -> str:
    """Return a text in single quotes, for fish, where a backslash escapes a single quote."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
