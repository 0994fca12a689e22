"""Sphinx's configuration; site.py runs it."""

from finger import __version__

project = "finger"
author = "the finger project"
copyright = author
version = release = __version__
extensions = ["myst_parser"]
root_doc = "index"
html_theme = "furo"
html_title = f"finger {release}"
html_show_sourcelink = False
html_copy_source = False
myst_heading_anchors = 3
smartquotes = False
pygments_style = "default"  # it has red and green for diffs
pygments_dark_style = "monokai"
html_theme_options = {"light_css_variables": {"code-font-size": "var(--font-size--small--2)"}}
