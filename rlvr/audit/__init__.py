"""Can a reward be trusted? `rlvr audit`, and the conformance tests for verifiers."""
