"""The stepper behind `python -m tutorial`: a learner's way through the stages.

cli         the command line, and how errors become one line
progress    what the learner has done, kept in a small JSON file
finding     which stage or file was meant
paper       how things look on the terminal
reading     list, show, diff, compare
copies      start: a working copy, and what it needs beside it
running     run: a stage in the foreground
conversing  try and ask: what goes over the wire, byte by byte
checking    check and next: the promises, against the learner's own file
exercising  exercise: a task, a stub, a check
"""
