"""What both sides of a zygote's control socket agree on: what one job may use, and how the zygote tells of jobs."""

import struct
from typing import NamedTuple

# What a zygote says: the pid of a job that ended (or 0) and its wait status; the number of the order that a job was
# started for, and its pid (or 0). The parent's end of the job's channel and its pidfd come along, in this order.
NEWS = struct.Struct("=4q")
DESCRIPTORS = struct.Struct("=2i")


class Bounds(NamedTuple):
    """`sandbox.Limits`, resolved for one job. Memory comes on top of what the zygote occupies itself."""

    memory_bytes: int
    cpu_seconds: int
    processes: int
    files: int
    file_bytes: int
    disk_bytes: int
    inodes: int
