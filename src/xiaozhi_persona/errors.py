"""The errors of the project, named by what a caller can do about them.

::

    PersonaError
     +-- SettingsError        the user mends config.yaml, a role or the command line (exit code 2)
     +-- PackageMissing       the user installs an optional package
     +-- ServiceError         a model or a server that we asked
          +-- ServiceUnavailable   (retryable) not reached, or failed while working
          |    +-- ServiceTimeout  (retryable) reached, but silent for longer than the deadline
          +-- ServiceRejected      asking again with the same words will not help
          +-- ServiceBroken        it began to answer and broke off

Messages are Chinese and end with the next step, since people read them as they are.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

STARTED_AS = "XIAOZHI_PERSONA_COMMAND"
"""The environment variable in which run.py hands on how it was started."""


class PersonaError(Exception):
    """Anything that a person is told in one or two lines and without a traceback."""

    exit_code = 1


class SettingsError(PersonaError):
    """Wrong use or wrong settings: names the file, the key and what is allowed."""

    exit_code = 2


class PackageMissing(PersonaError):
    """An optional package or a model file is not there; says how to get it."""


class ServiceError(PersonaError):
    """Something went wrong between us and a model or a server."""

    retryable = False


class ServiceUnavailable(ServiceError):
    """The service cannot be reached, or failed while working."""

    retryable = True


class ServiceTimeout(ServiceUnavailable):
    """The service was reached, but nothing came within the deadline."""


class ServiceRejected(ServiceError):
    """The service refused the request; the same request will be refused again."""


class ServiceBroken(ServiceError):
    """The service began to answer and broke off; what came before may have been used already."""


def first_line(exc: BaseException) -> str:
    """Return what an error of a library says, short enough for a message; some write pages."""
    return next(iter(str(exc).strip().splitlines()), "")[:200] or type(exc).__name__


def pip_install(*packages: str) -> str:
    """Return the command that installs packages into the Python that runs this, whichever one the shell finds."""
    words = [sys.executable, "-m", "pip", "install", *packages]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def own_command(arguments: str = "") -> str:
    """Return a command of this program as the reader of the advice can type it: in the form in which it was started."""
    return f"{os.environ.get(STARTED_AS) or 'xiaozhi-persona'} {arguments}".strip()
