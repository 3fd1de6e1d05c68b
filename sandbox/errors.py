"""What this package raises.

SandboxError         the sandbox itself failed; this says nothing about the program
  SandboxUnavailable no allowed tier works on this machine
BadTests             the tests are malformed; this says nothing about the program either
"""


class SandboxError(RuntimeError):
    """The sandbox failed; nothing is known about the program."""


class SandboxUnavailable(SandboxError):
    """No allowed tier works on this machine."""


class BadTests(ValueError):
    """The tests are malformed or cannot be sent; the message names the test and the reason."""
