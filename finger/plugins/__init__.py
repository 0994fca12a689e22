"""
The plugin package: each of its modules may define back ends and adapters.

Another distribution adds plugins by installing C{finger/plugins/NAME.py} without an C{__init__.py} beside it, as
L{twisted.plugin} requires.
"""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
__all__: list[str] = []
