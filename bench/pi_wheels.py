"""Whether `pip install '.[pi]'` needs no compiler on a Raspberry Pi: a wheel of every dependency for Python 3.11 on arm64.

pip is asked as if it ran there (Debian 12, glibc 2.36). Nothing of arm64 is run, and nothing is installed.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import options, show

ROOT = Path(__file__).resolve().parents[1]
PLATFORMS = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 37))]


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--python", default="3.11", help="version of Python")
    parser.add_argument("--extras", nargs="+", default=["pi", "gpio"])
    arguments = parser.parse_args()
    rows: dict[str, dict[str, object]] = {}
    for name, requirement in _dependencies(arguments.extras).items():
        with tempfile.TemporaryDirectory() as folder:
            failure = _download(requirement, arguments.python, folder)
            wheels = sorted(Path(folder).glob("*.whl"))
            own = [wheel.name for wheel in wheels if wheel.name.lower().startswith(name)]
            megabytes = round(sum(wheel.stat().st_size for wheel in wheels) / 1e6, 1)
            rows[name] = {"wheels": len(wheels), "MB": megabytes, "its own": failure or own[0]}
    lacking = sum(not row["wheels"] for row in rows.values())
    show(arguments.json, f"wheels for Python {arguments.python} on arm64", rows, lacking=lacking)
    return 1 if lacking else 0


def _dependencies(extras: list[str]) -> dict[str, str]:
    """Return what is to be installed on Linux, by its name as wheels write it."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["options"]["install_requires"].splitlines()
    for extra in extras:
        lines += config["options.extras_require"][extra].splitlines()
    requirements = [line.partition(";")[0].strip() for line in lines if line.strip() and line[0] != "#"]
    return {one.partition(">")[0].lower().replace("-", "_"): one for one in requirements}


def _download(requirement: str, python: str, folder: str) -> str:
    """Download a requirement and all that it requires; return what went wrong, "" for nothing."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder, "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    done = subprocess.run([*command, requirement], capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return (errors or [done.stderr[-200:]])[-1] if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
