"""`python -m caebench`."""

from caebench.cli import main

if __name__ == "__main__":
    main()
