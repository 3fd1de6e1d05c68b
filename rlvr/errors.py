"""Every error that rlvr raises on purpose. Each message says what came, what was expected, where, and the way out.

RlvrError
+-- ConfigError         the configuration cannot be run
+-- DataError           a dataset or a row of it cannot be used
+-- ModelError          a model or tokenizer cannot be used
+-- CheckpointError     a checkpoint cannot be written or read
+-- WeightSyncError     the generator does not hold the policy's weights
+-- GraderError         too many verdicts failed to trust the rewards
+-- DivergenceError     the loss or the gradients are no longer finite
"""


class RlvrError(Exception):
    """The base class; the command line prints the message without a traceback."""


class ConfigError(RlvrError): ...


class DataError(RlvrError): ...


class ModelError(RlvrError): ...


class CheckpointError(RlvrError): ...


class WeightSyncError(RlvrError): ...


class GraderError(RlvrError): ...


class DivergenceError(RlvrError): ...
