"""``python -m acula_edge`` is the command ``acula-edge``."""

from acula_edge.cli.main import main

main()
