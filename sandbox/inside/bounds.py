"""What one job may use, in the units of the kernel. Both sides of a zygote's control socket agree on it."""

from typing import NamedTuple


class Bounds(NamedTuple):
    """`sandbox.Limits`, resolved for one job. Memory comes on top of what the zygote occupies itself."""

    memory_bytes: int
    cpu_seconds: int
    processes: int
    files: int
    file_bytes: int
    disk_bytes: int
    inodes: int
