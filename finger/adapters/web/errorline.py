"""
The line of a template that cannot be flattened.

L{FlattenerError <twisted.web.error.FlattenerError>} lists the tags around the tag or slot that failed, and not that
one itself.  Only the traceback has it: C{root} is a local variable of the private functions of C{twisted.web} that
flatten.  Upstream: no ticket found.
"""

from __future__ import annotations

from traceback import walk_tb

from twisted.web.template import Tag, slot


def lineOf(error: BaseException) -> int:
    """
    Find the line of what was being flattened.

    @param error: what was raised then, which the L{FlattenerError <twisted.web.error.FlattenerError>} is about.
    @return: the line in its template; 0 if that is not known.
    """
    roots = (frame.f_locals.get("root") for frame, _ in walk_tb(error.__traceback__))
    lines = [root.lineNumber for root in roots if isinstance(root, Tag | slot)]
    return lines[-1] or 0
