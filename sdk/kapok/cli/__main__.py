"""`python -m kapok.cli` is `kapok`."""

from kapok.cli import main

main()
