"""Every error that rlvr raises on purpose. Each says what came, what was expected, where, and the way out.

RlvrError
+-- ConfigError         the configuration cannot be run
+-- DataError           a dataset or a row of it cannot be used
+-- ModelError          a model or tokenizer cannot be used
+-- CheckpointError     a checkpoint cannot be written or read
+-- WeightSyncError     the generator does not hold the policy's weights
+-- GraderError         too many verdicts failed for the rewards to be believed
+-- DivergenceError     loss or gradients stopped being numbers
"""


class RlvrError(Exception):
    """The base of all; the command line prints its message without a traceback."""


class ConfigError(RlvrError): ...


class DataError(RlvrError): ...


class ModelError(RlvrError): ...


class CheckpointError(RlvrError): ...


class WeightSyncError(RlvrError): ...


class GraderError(RlvrError): ...


class DivergenceError(RlvrError): ...
