"""`python -m diarchy.harness` is `diarchy`."""
from diarchy.harness.cli import main

if __name__ == "__main__":
    main()
