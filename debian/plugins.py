"""Note down Twisted's plugins, in an order that does not depend on the file system."""

import pickle
from pathlib import Path

from twisted.plugin import getCache

from twisted import plugins

notes = Path(plugins.__path__[0], "dropin.cache")
found = getCache(plugins)
missing = {file.stem for file in notes.parent.glob("*.py")} - {"__init__"} - set(found)
if missing:
    raise SystemExit(f"plugins that cannot be loaded: {', '.join(sorted(missing))}")
notes.write_bytes(pickle.dumps({name: found[name] for name in sorted(found)}))
notes.chmod(0o644)
