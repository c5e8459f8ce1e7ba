"""`python -m monitor` is `eelswatch`."""

from monitor.cli import main

main()
