"""`python -m sergas.app`: the program where it is not installed as one."""

from sergas.app.cli import main

if __name__ == "__main__":
    main()
