"""`python -m xiaozhi_persona` is the command `xiaozhi-persona`."""

from xiaozhi_persona.cli import main

if __name__ == "__main__":
    main()
