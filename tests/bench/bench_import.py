"""Seconds to import the package and to ask the command line for help (the aim is under 0.5)."""

import json
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python_s": "pass",
    "import_s": "import bookpricer",
    "help_s": "import sys; from bookpricer.ui.cli import main; sys.argv = ['bookpricer', '--help']; main()",
}


def seconds(code: str) -> float:
    """Wall time of one fresh interpreter running `code`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


print(
    json.dumps(
        {label: round(statistics.median(seconds(code) for _ in range(5)), 3) for label, code in COMMANDS.items()}
    )
)
