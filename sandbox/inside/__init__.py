"""All code that shares a process with untrusted code: the zygote, the confinement of jobs, and the roles of jobs.

Nothing in this folder compares an answer with an expected value, and nothing here imports from outside the folder, so
the process that runs untrusted code does not even load the grading code. The parent imports from here only what both
ends must agree on (`values`, `frames`, `bounds`).

Imports are kept to a minimum: every megabyte that a zygote occupies slows down the fork and the exit of each job by
about a tenth of a millisecond. Hence named tuples instead of dataclasses, `_socket` instead of `socket`, and imports
inside of functions for what only some jobs need.
"""
