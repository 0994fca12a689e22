"""What each stage promises, one small function a promise.

    keep("moshez-is-happy-and-well", running)    # returns, or raises PromiseBroken
    describe("moshez-is-happy-and-well")         # the promise in a sentence
    PROMISES                                     # name -> function(running: Running) -> None
    ELSEWHERE                                    # those that only start variants of the run

stages.toml says which stage makes which promise. A promise is about what can be seen from outside,
over real sockets; only where a stage changes no behaviour does it look at the source.
"""

from ..harness import PromiseBroken
from . import (  # noqa: F401  they register
    _back_ends,
    _calls,
    _irc,
    _lines,
    _package,
    _ports,
    _service,
    _source,
    _store,
    _tests,
    _web,
)
from ._registry import ELSEWHERE, PROMISES, describe, keep

__all__ = ["ELSEWHERE", "PROMISES", "PromiseBroken", "describe", "keep"]
