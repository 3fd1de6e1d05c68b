"""Everything that is loaded beside untrusted code: the zygote, the confinement of a job, and the three kinds of job.

Nothing in this folder compares an answer with an expected one, and nothing here imports from outside the folder, so
that the process that runs untrusted code does not even hold the code of the judge. The parent's side imports from
here only what both ends must agree on (`values`, `frames`, `bounds`).

Modules are imported with care: every megabyte that a zygote occupies makes the fork and the end of each job slower by
about a tenth of a millisecond. So there are named tuples instead of dataclasses, `_socket` instead of `socket`, and
whatever only some jobs need is imported by them.
"""
