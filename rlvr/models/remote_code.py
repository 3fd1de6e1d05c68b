"""Models that come with Python code of their own: run only where the recipe says so, and kept beside saved weights."""

from pathlib import Path

from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.dynamic_module_utils import custom_object_save

from rlvr.errors import ModelError


def check_code(path: str, trusts_code: bool, revision: str | None, key: str = "model") -> None:
    """Refuse a model whose architecture only its own code knows, unless that is trusted. Raises `ModelError`.

    A configuration that cannot be read for another reason is left to the loading of the model.
    """
    if trusts_code:
        return
    try:
        AutoConfig.from_pretrained(path, trust_remote_code=False, revision=revision)
    except ValueError as error:
        refuse_code(path, error, key)
    except OSError:
        return


def refuse_code(path: str, error: Exception, key: str = "model") -> None:
    """Raise `ModelError` if transformers' `error` asks for trust in a model's code."""
    if "trust_remote_code" not in str(error):
        return
    raise ModelError(
        f"{key}.path {path!r} is an architecture that this version of transformers does not have: it comes with Python "
        f"code of its own, which can do anything that you can. Read it, and set {key}.trust_remote_code=true to run it"
    ) from error


def keep_code(model: PreTrainedModel, config: PreTrainedConfig, folder: Path) -> None:
    """Copy a model's own code into `folder`, and name it in `config`, which is yet to be saved."""
    if model._auto_class is not None:
        custom_object_save(model, folder, config=config)
