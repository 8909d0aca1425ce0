"""Print what makes a shell complete commands, options, and names of plugins and datasets.

For bash and zsh, put  eval "$(synthbench completion bash)"  (or zsh) into ~/.bashrc or ~/.zshrc; for fish,
save what it prints as ~/.config/fish/completions/synthbench.fish
"""

from __future__ import annotations

import argparse
import sys

__all__ = ["add_arguments", "run"]

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(args: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    sys.stdout.write(shellcode(["synthbench"], shell=args.shell))
    return 0
