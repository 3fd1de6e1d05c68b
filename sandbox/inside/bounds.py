"""What both ends of a zygote's control socket agree on: the bounds of one job, and the zygote's messages about jobs."""

import struct
from typing import NamedTuple

# A zygote's message: the pid of a job that ended (or 0) and its wait status; the number of the order that a job was
# started for, and its pid (or 0). The parent's end of that job's channel and its pidfd are attached, in this order.
NEWS = struct.Struct("=4q")
DESCRIPTORS = struct.Struct("=2i")


class Bounds(NamedTuple):
    """`sandbox.Limits`, resolved for one job. `memory_bytes` does not include the memory of the zygote itself."""

    memory_bytes: int
    cpu_seconds: int
    processes: int
    files: int
    file_bytes: int
    disk_bytes: int
    inodes: int
