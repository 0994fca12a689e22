"""A bare twisted.web server of one page: the contents of a file."""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.web.static import Data

from bench.peers.listening import QuietSite, serve


class Page(Data):
    isLeaf = True


site = QuietSite(Page(Path(sys.argv[1]).read_bytes(), "text/html; charset=utf-8"))
site.displayTracebacks = False
serve(site)
