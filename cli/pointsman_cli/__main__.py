"""`python -m pointsman_cli` is the command `pointsman`."""

from pointsman_cli.main import main

if __name__ == "__main__":
    main()
