"""The algorithms: pure functions, tensors in and tensors out. No config, no logging, no device, no rank."""
