"""The tutorial's machinery: it shows, runs and checks the stages, and builds their pages.

stages          the table of stages, read from stages.toml
harness         starts a stage and talks to it; world, doubles, talk and stage_runner are its parts
promises        what the stages promise, a function each
exercises       the exercises, their stubs, solutions and checks
stepper         python -m tutorial
pagebuilder     python -m tutorial.engine.pagebuilder
tests           the proof that each stage keeps its promises
"""
