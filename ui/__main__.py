"""`python -m bookpricer.ui`: the command line as a module, for what starts modules, such as `accelerate launch`."""

from .cli import main

if __name__ == "__main__":
    main()
