"""Run every benchmark beside this file and keep what each measured in results/.

A benchmark is a script `bench_<name>.py` that prints one JSON object as its last line.

    python tests/bench/run.py            all of them
    python tests/bench/run.py import     only bench_import.py; flags after the names go on to it
"""

import json
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> None:
    """Run the named benchmarks, or all of them."""
    names = [argument for argument in arguments if not argument.startswith("-")]
    flags = [argument for argument in arguments if argument.startswith("-")]
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    for script in [HERE / f"bench_{name}.py" for name in names] or sorted(HERE.glob("bench_*.py")):
        name = script.stem.removeprefix("bench_")
        print(f"{name} …", flush=True)
        run = subprocess.run([sys.executable, str(script), *flags], check=True, stdout=subprocess.PIPE, text=True)
        figures = json.loads(run.stdout.splitlines()[-1])
        machine = {"python": platform.python_version(), "system": platform.system(), "processor": platform.machine()}
        (results / f"{name}.json").write_text(json.dumps({"figures": figures, "machine": machine}, indent=2) + "\n")
        for label, figure in figures.items():
            print(f"  {label}: {figure}")


if __name__ == "__main__":
    main(sys.argv[1:])
