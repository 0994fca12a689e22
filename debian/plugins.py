"""Write Twisted's cache of plugins, in an order that does not depend on the file system."""

import pickle
from pathlib import Path

from twisted.plugin import getCache

from twisted import plugins

cache = Path(plugins.__path__[0], "dropin.cache")
found = getCache(plugins)
missing = {file.stem for file in cache.parent.glob("*.py")} - {"__init__"} - set(found)
if missing:
    raise SystemExit(f"plugins that cannot be loaded: {', '.join(sorted(missing))}")
cache.write_bytes(pickle.dumps({name: found[name] for name in sorted(found)}))
cache.chmod(0o644)
