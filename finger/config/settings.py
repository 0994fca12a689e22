"""
The settings in force and their sources: flags, over the environment, over a file, over the defaults.

Each source calls an option by the same name.
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
    One option, set.

    @ivar value: the value as a file would have it.
    @ivar field: the value as L{Config} has it.
    @ivar source: who says so: C{--name}, C{FINGER_NAME}, the path of a file, or C{default}.
    """

    option: Option
    value: Any
    field: Any
    source: str


class UnknownOption(ConfigError):
    """
    An option that is not in the table.

    @ivar name: its name.
    @ivar problem: what is wrong.
    @ivar hint: which one may have been meant.
    """

    def __init__(self, name: str, problem: str, hint: str) -> None:
        super().__init__(problem + hint)
        self.name = name
        self.problem = problem
        self.hint = hint


Layer: TypeAlias = Mapping[str, Setting]
"""What one of them says, by the options' names."""


def fromFlags(said: Mapping[str, Sequence[object]], table: OptionTable) -> Layer:
    """
    Read what a command line says.

    @param said: all values of each option that is there, in their order; of one that may not be repeated the last
        counts.
    @raise ConfigError: if a value makes no sense.
    """
    layer = {}
    for name, values in said.items():
        option = table.settings[name]
        flag = f"--{option.off}" if option.off and not values[-1] else f"--{name}"
        layer[name] = _read(option, values, flag, f"{flag}={{}}".format)
    return layer


def fromEnvironment(environment: Mapping[str, str], table: OptionTable) -> Layer:
    """
    Read the C{FINGER_NAME}s of an environment.  Others of that beginning are not looked at: who runs a service called
    finger sets some, too.  Values of an option that may be repeated stand with white space between, quoted as for a
    shell where they hold some.

    @raise ConfigError: if a value makes no sense.
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
        raise ConfigError(f"{option.variable}={text}: has a quotation mark that is not closed") from error


def fromFile(path: str, table: OptionTable, named: str = "--config", mayBePipe: bool = False) -> Layer:
    """
    Read a TOML file: C{name = value} for each option; one that may be repeated has a list, or one value.

    @param named: what names the file, for messages.
    @param mayBePipe: whether it may be a pipe, as a shell's C{<(command)} is, which can be read once.
    @raise ConfigError: if it cannot be read, or what it says makes no sense.
    """
    return {name: _fromFile(path, table, name, value) for name, value in _parse(path, named, mayBePipe).items()}


def _parse(path: str, named: str, mayBePipe: bool) -> dict[str, Any]:
    try:
        content = readFile(path, mayBePipe=mayBePipe)
        return tomllib.loads(content.decode("utf-8-sig"))  # Some editors begin a file with a mark.
    except OSError as error:
        raise ConfigError(f"{named}={path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: is nested too deeply for what has lines such as hops = 2") from error
    except ValueError as error:  # Of tomllib's own, or of a number that Python does not take.
        raise ConfigError(f"{path}: is not TOML, with lines such as hops = 2: {error}") from error


def _fromFile(path: str, table: OptionTable, name: str, value: object) -> Setting:
    option = table.settings.get(name)
    if option is None:
        raise UnknownOption(name, f"{path}: {name}: there is no such option", didYouMean(name, table.settings))
    if _isTooLarge(value):
        raise ConfigError(f"{path}: {name}: has a number of more than 64 bits, which TOML has not")
    values = value if option.repeated and isinstance(value, list) else [value]
    return _read(option, values, path, lambda wrong: f"{path}: {name} = {formatTOML(wrong)}")


def _isTooLarge(value: object) -> bool:
    """Is that, or what is in it, a number too large?  Python cannot even print some."""
    if isinstance(value, dict):
        return any(map(_isTooLarge, value.values()))
    if isinstance(value, list):
        return any(map(_isTooLarge, value))
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def _read(option: Option, values: Sequence[object], source: str, show: Callable[[object], str]) -> Setting:
    """
    Read all values.

    @param show: writes one that is wrong as it stands there.
    """
    assert option.kind is not None
    read, fields = [], []
    for value in values:
        try:
            read.append(option.kind.read(value))
            fields.append(option.kind.toField(read[-1]))
        except ValueError as error:
            raise ConfigError(f"{show(value)}: {error}") from error
    if option.repeated:
        return Setting(option, read, tuple(fields), source)
    return Setting(option, read[-1], fields[-1], source)


class Settings:
    """
    The settings in force.

    @param table: the options.
    @param layers: the sources, the one that counts most first.
    @ivar inForce: every option's setting, by name.
    """

    def __init__(self, table: OptionTable, *layers: Layer) -> None:
        defaults = {name: _default(option) for name, option in table.settings.items()}
        self.inForce: dict[str, Setting] = defaults
        for layer in reversed(layers):
            self.inForce |= layer

    def config(self) -> Config:
        """All of them as one value."""
        changed = [setting for setting in self.inForce.values() if setting.field != setting.option.initial]
        return Config(**{setting.option.key: setting.field for setting in changed})

    def format(self) -> Iterator[str]:
        """All of it, as lines of a file that could be read again, each with its source."""
        for name, setting in self.inForce.items():
            yield f"{name} = {formatTOML(setting.value)}  # {setting.source}"

    def locate(self, problem: str) -> str:
        """
        Say where what is wrong stands.

        @param problem: what is wrong with an option, beginning with C{--name}, as if it stood on the command line.
        @return: the same, beginning with the option's name in the place where it does stand.
        """
        match = re.match(r"--([a-z-]+)(?=[=:])", problem)
        setting = self.inForce.get(match[1]) if match else None
        if match is None or setting is None or setting.source in (DEFAULT, match[0]):
            return problem
        if setting.source == setting.option.variable:
            return setting.source + problem[match.end() :]
        return f"{setting.source}: {problem[2:]}"


def _default(option: Option) -> Setting:
    return Setting(option, option.default, option.initial, DEFAULT)


def formatTOML(value: object) -> str:
    """Write a value as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(formatTOML, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)} = {formatTOML(item)}' for key, item in value.items())}}}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)
