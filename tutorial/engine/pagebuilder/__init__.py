"""What makes the pages of the tutorial trustworthy, and a site of them.

page         one page: its headings, its transcripts
transcripts  types what a page shows, against the running stage, and compares or rewrites what comes
sources      what the site is made of: pages with code and diffs put in, links that lead somewhere
inventory    where other people's names are documented, for the API reference
site         Sphinx for the pages, pydoctor for the API reference
cli          python -m tutorial.engine.pagebuilder
"""
