"""What this package raises.

SandboxError         the sandbox itself failed: says nothing about the program
  SandboxUnavailable this machine offers no tier that was allowed
BadTests             the tests are malformed: says nothing about the program either
"""


class SandboxError(RuntimeError):
    """The sandbox failed; the program that was to run is neither right nor wrong."""


class SandboxUnavailable(SandboxError):
    """No allowed tier works on this machine."""


class BadTests(ValueError):
    """The tests cannot be understood, or cannot be sent; one sentence says which and why."""
