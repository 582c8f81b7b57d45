"""`python -m groundspeed.cli`, for where the script is not on PATH."""

from groundspeed.cli.main import main

if __name__ == "__main__":
    main()
