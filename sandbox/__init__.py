"""Runs untrusted code and grades it. Needs nothing but the standard library; Linux only.

The process that knows the expected values never runs that code; the process that runs it never learns them.
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
