"""
The effective settings and their sources: the command line overrides the environment, which overrides a file.

Each source uses the same names for options.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from finger.config.files import readFile
from finger.config.model import Config
from finger.config.options import Option, OptionTable, didYouMean
from finger.errors import ConfigError

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Setting:
    """
    The value of one option.

    @ivar value: the value in the form of the configuration file.
    @ivar field: the value as a field of L{Config}.
    @ivar source: the source: C{--name}, C{FINGER_NAME}, the path of a file, or C{default}.
    """

    option: Option
    value: Any
    field: Any
    source: str


class UnknownOption(ConfigError):
    """
    An option that is not in the table.

    @ivar name: its name.
    @ivar problem: the error message without the hint.
    @ivar hint: a suggestion of a similar name; empty for none.
    """

    def __init__(self, name: str, problem: str, hint: str) -> None:
        super().__init__(problem + hint)
        self.name = name
        self.problem = problem
        self.hint = hint


Layer: TypeAlias = Mapping[str, Setting]
"""The settings of one source, by name."""


def fromFlags(given: Mapping[str, Sequence[object]], table: OptionTable) -> Layer:
    """
    Read the settings of a command line.

    @param given: the values of each option, in their order.  The last value counts unless the option is repeatable.
    @raise ConfigError: if a value is invalid.
    """
    layer = {}
    for name, values in given.items():
        option = table.settings[name]
        flag = f"--{option.off}" if option.off and not values[-1] else f"--{name}"
        layer[name] = _read(option, values, flag, f"{flag}={{}}".format)
    return layer


def fromEnvironment(environment: Mapping[str, str], table: OptionTable) -> Layer:
    """
    Read the variables C{FINGER_NAME} of an environment.  Unknown variables that begin with C{FINGER_} are ignored,
    because container runtimes set such variables for a service called finger.  The values of a repeatable option are
    separated by white space, and quoted as for a shell if they contain any.

    @raise ConfigError: if a value is invalid.
    """
    layer = {}
    for name, option in table.settings.items():
        text = environment.get(option.variable)
        if text is not None:
            values = _words(option, text) if option.repeated else [text]
            layer[name] = _read(option, values, option.variable, f"{option.variable}={{}}".format)
    return layer


def _words(option: Option, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{option.variable}={text}: has an unclosed quotation mark") from error


def fromFile(path: str, table: OptionTable, named: str = "--config", mayBePipe: bool = False) -> Layer:
    """
    Read a TOML file: C{name = value} for each option.  A repeatable option has a list or a single value.

    @param named: the option or variable that names the file, for messages.
    @param mayBePipe: whether the file may be a pipe, such as a shell's C{<(command)}, which can be read only once.
    @raise ConfigError: if the file cannot be read, or a value is invalid.
    """
    return {name: _fromFile(path, table, name, value) for name, value in _parse(path, named, mayBePipe).items()}


def _parse(path: str, named: str, mayBePipe: bool) -> dict[str, Any]:
    try:
        content = readFile(path, mayBePipe=mayBePipe)
        return tomllib.loads(content.decode("utf-8-sig"))  # Some editors write a byte order mark.
    except OSError as error:
        raise ConfigError(f"{named}={path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: is nested too deeply; write lines such as hops = 2") from error
    except ValueError as error:  # From tomllib, or from Python for a number with too many digits.
        raise ConfigError(f"{path}: is not TOML, with lines such as hops = 2: {error}") from error


def _fromFile(path: str, table: OptionTable, name: str, value: object) -> Setting:
    option = table.settings.get(name)
    if option is None:
        raise UnknownOption(name, f"{path}: {name}: unknown option", didYouMean(name, table.settings))
    if _isTooLarge(value):
        raise ConfigError(f"{path}: {name}: has a number of more than 64 bits, the limit of TOML")
    values = value if option.repeated and isinstance(value, list) else [value]
    return _read(option, values, path, lambda wrong: f"{path}: {name} = {formatTOML(wrong)}")


def _isTooLarge(value: object) -> bool:
    """Return whether a value is or contains a number that is too large.  Python cannot even print some of them."""
    if isinstance(value, dict):
        return any(map(_isTooLarge, value.values()))
    if isinstance(value, list):
        return any(map(_isTooLarge, value))
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def _read(option: Option, values: Sequence[object], source: str, show: Callable[[object], str]) -> Setting:
    """
    Read all values of an option.

    @param show: formats an invalid value as its source has it.
    """
    assert option.kind is not None
    read, fields = [], []
    for value in values:
        try:
            read.append(option.kind.read(value))
            fields.append(option.kind.toField(read[-1]))
        except ValueError as error:
            raise ConfigError(f"{show(value)}: {error}") from error
        except Exception as error:  # The kind of another package's option may not expect every type that TOML has.
            raise ConfigError(f"{show(value)}: is not valid ({type(error).__name__}: {error})") from error
    if option.repeated:
        return Setting(option, read, tuple(fields), source)
    return Setting(option, read[-1], fields[-1], source)


class Settings:
    """
    The effective settings.

    @param table: the options.
    @param layers: the sources, in order of precedence.
    @ivar inForce: the setting of every option, by name.
    """

    def __init__(self, table: OptionTable, *layers: Layer) -> None:
        defaults = {name: _default(option) for name, option in table.settings.items()}
        self.inForce: dict[str, Setting] = defaults
        for layer in reversed(layers):
            self.inForce |= layer

    def config(self) -> Config:
        """Return the settings as one value."""
        changed = [setting for setting in self.inForce.values() if setting.field != setting.option.initial]
        return Config(**{setting.option.key: setting.field for setting in changed})

    def format(self) -> Iterator[str]:
        """Return the settings as lines of a configuration file, each with its source in a comment."""
        for name, setting in self.inForce.items():
            yield f"{name} = {formatTOML(setting.value)}  # {setting.source}"

    def locate(self, problem: str) -> str:
        """
        Return an error message with the source of its option.

        @param problem: a message that begins with the option's name on the command line, C{--name}.
        @return: the message, beginning with the option's name in the source that set it.
        """
        match = re.match(r"--([a-z0-9-]+)(?=[=:])", problem)
        setting = self.inForce.get(match[1]) if match else None
        if match is None or setting is None or setting.source in (DEFAULT, match[0]):
            return problem
        if setting.source == setting.option.variable:
            return setting.source + problem[match.end() :]
        return f"{setting.source}: {problem[2:]}"


def _default(option: Option) -> Setting:
    return Setting(option, option.default, option.initial, DEFAULT)


def formatTOML(value: object) -> str:
    """Return a value in the syntax of TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(formatTOML, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)} = {formatTOML(item)}' for key, item in value.items())}}}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)
