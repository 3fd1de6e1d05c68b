"""The resources that a job may use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of one job. All are enforced in tier A; docs/sandbox.md says which are weaker in tiers B and C."""

    timeout_seconds: float = 10.0  # wall-clock time of one call of `run` or `grade`, all test cases together
    memory_mb: int = 512  # of the job's whole process tree, on top of the bare interpreter
    processes: int = 64  # processes and threads alive at once; a whole program is the second process of its job
    files: int = 256  # open file descriptors per process
    disk_mb: int = 64  # of the job's own directory, which is in memory in tier A
    inodes: int = 4096  # files and directories that the job may create
    output_bytes: int = 8 << 20  # standard output of one program, or the values of all calls of one job

    def __post_init__(self) -> None:
        if not self.timeout_seconds > 0:
            raise ValueError(f"timeout_seconds must be more than 0: got {self.timeout_seconds!r}")
        minimums = {"memory_mb": 1, "processes": 2, "files": 16, "disk_mb": 1, "inodes": 16, "output_bytes": 1}
        for name, value in minimums.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} must be at least {value}: got {getattr(self, name)!r}")
