"""`python -m sentinel_core.cli`: the command line where no script is installed."""

from sentinel_core.cli import main

main()
