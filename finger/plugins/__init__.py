"""
Where back ends are found: every module of this package, ours and anybody's.

A package of somebody else's adds one by bringing C{finger/plugins/NAME.py}, without an C{__init__.py} beside it: that
is how L{twisted.plugin} extends packages across distributions.
"""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
__all__: list[str] = []
