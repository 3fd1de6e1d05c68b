"""The other program: reads {"completion", "answer"} from standard input, writes {"score"} to standard output."""

import json
import sys

if __name__ == "__main__":
    pair = json.load(sys.stdin)
    wanted = sorted(int(number) for number in pair["answer"].split())
    try:
        given = [int(number) for number in pair["completion"].split()]
    except ValueError:
        given = []
    json.dump({"score": float(given == wanted)}, sys.stdout)
