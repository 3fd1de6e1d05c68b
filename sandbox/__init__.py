"""Running code that nobody vouches for, and grading it. Stands on the standard library alone; Linux only.

The process that knows what is expected never runs that code; the process that runs it never learns what is expected.
"""

from .box import AsyncSandbox, Sandbox
from .errors import BadTests, SandboxError, SandboxUnavailable
from .limits import Limits
from .results import Case, Execution, Grade, Status, Tier

__all__ = [
    "AsyncSandbox",
    "BadTests",
    "Case",
    "Execution",
    "Grade",
    "Limits",
    "Sandbox",
    "SandboxError",
    "SandboxUnavailable",
    "Status",
    "Tier",
]
