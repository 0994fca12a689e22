"""The pages of the tutorial, one a stage; `python -m tutorial.pages` checks, updates and builds them."""
