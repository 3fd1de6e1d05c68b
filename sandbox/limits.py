"""How much a job may use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one job. All of them hold in tier A; docs/sandbox.md says which ones are weaker in tiers B and C."""

    timeout_seconds: float = 10.0  # wall clock of one call of `run` or `grade`, all of its test cases together
    memory_mb: int = 512  # of the job's whole tree of processes, on top of the bare interpreter
    processes: int = 64  # processes and threads alive at one time; a program on standard input is the job's second one
    files: int = 256  # open descriptors of one process
    disk_mb: int = 64  # of the job's own directory, which lies in memory in tier A
    inodes: int = 4096  # files and directories that the job may make
    output_bytes: int = 8 << 20  # standard output of one program, or the values of all calls of one job

    def __post_init__(self) -> None:
        if not self.timeout_seconds > 0:
            raise ValueError(f"timeout_seconds must be more than 0: got {self.timeout_seconds!r}")
        least = {"memory_mb": 1, "processes": 2, "files": 16, "disk_mb": 1, "inodes": 16, "output_bytes": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} must be at least {value}: got {getattr(self, name)!r}")
