"""Can a reward be believed? `rlvr audit`, and what every verifier owes."""
