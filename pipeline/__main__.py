"""`python -m pipeline` is `fivephase`."""

from pipeline.cli import main

if __name__ == "__main__":
    main()
