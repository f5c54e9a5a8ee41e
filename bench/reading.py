"""How fast and in how much memory large logs are read: one process a case, the cache apart.

python bench/reading.py FILE_OR_FOLDER... --metric acc        # prints a line each; --out writes the JSON
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

CASE = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import lleval_jax.data as data
import numpy, pandas, pyarrow.parquet
path, metric, cache = sys.argv[1], sys.argv[2] or None, sys.argv[3] == "cache"
wall, processor = time.perf_counter(), time.process_time()
found = data.read(path, metric=metric, cache=cache, workers=1)
facts = {"seconds": time.perf_counter() - wall, "processor_seconds": time.process_time() - processor}
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
facts["resident_megabytes"] = int(peak.split()[1]) >> 10
print(json.dumps(facts | {"answers": int(found.n_seen.sum())}))
"""


def case(path: str, metric: str, cache: str, place: str) -> dict:
    """What one process says of one read."""
    words = [sys.executable, "-c", CASE, path, metric, cache]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={"LLEVAL_CACHE": place, "PATH": ""})
    return json.loads(done.stdout)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("paths", nargs="+")
    words.add_argument("--metric", default="")
    words.add_argument("--out", type=pathlib.Path)
    asked = words.parse_args()
    results = []
    for path in asked.paths:
        inside = [each for each in pathlib.Path(path).rglob("*") if each.is_file()] or [pathlib.Path(path)]
        size = sum(each.stat().st_size for each in inside) / 1e6
        for each in inside:
            each.read_bytes()  # into the page cache
        with tempfile.TemporaryDirectory() as place:
            time.sleep(3.5)  # a file younger than this is hashed again
            metric = asked.metric if path.endswith("jsonl") or pathlib.Path(path).is_dir() else ""
            plain, first, second = (case(path, metric, kind, place) for kind in ("plain", "cache", "cache"))
        found = {
            "path": pathlib.Path(path).name,
            "megabytes": round(size),
            "plain": plain,
            "first": first,
            "second": second,
        }
        found["megabytes_a_core_second"] = round(size / plain["processor_seconds"])
        found["second_read_times_faster"] = round(first["seconds"] / second["seconds"], 1)
        less = first["processor_seconds"] / second["processor_seconds"]
        found["second_read_times_less_processor"] = round(less, 1)
        results.append(found)
        print(json.dumps(found), flush=True)
    if asked.out:
        asked.out.write_text(json.dumps({"python": sys.version.split()[0], "cases": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
