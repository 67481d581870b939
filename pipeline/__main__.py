"""`python -m pipeline` is the command `fivephase`, for where the package is not installed."""

from pipeline.cli import main

if __name__ == "__main__":
    main()
