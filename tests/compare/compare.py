"""Measures other task queues on the broker that the benchmark uses: `ci/bench w1 w4 w6 compare`.

compare.py --broker URL --environment DIR --tasks N --jobs N --waits N

Installs the versions of requirements.txt into the environment, runs celery_side.py and dramatiq_side.py in it, and
prints what they print as one JSON object.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
SIDES = ("celery", "dramatiq")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--environment", required=True, type=pathlib.Path)
    for name in ("--tasks", "--jobs", "--waits"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    python = prepare(args.environment)
    results = {side: measure(python, side, args) for side in SIDES}
    print(json.dumps(results))


def prepare(environment):
    """The environment's interpreter, with everything that is required."""
    python = environment / "bin" / "python"
    installed = environment / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if not installed.exists() or installed.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", str(REQUIREMENTS)], check=True, stdout=sys.stderr)
        installed.write_text(wanted)
    return python


def measure(python, side, args):
    # Nothing is left behind in the sources.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(python), str(HERE / f"{side}_side.py"), args.broker, args.tasks, args.jobs, args.waits]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=HERE, env=environment)
    return json.loads(run.stdout)


if __name__ == "__main__":
    main()
