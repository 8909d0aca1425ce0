"""Show what files of weights hold, and take the tensors out of checkpoints that hold more.

Segmenters start from files that hold tensors and nothing else. 'synthbench weights convert' makes such a file of a
checkpoint of torch, without executing anything in it. What weights were trained on is declared in a YAML file beside
them: FILE.yaml, with the keys trained_on, licence, source and citation.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthbench.datasets.weights_card import WeightsCard

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    show = actions.add_parser("show", help="list the tensors of a file, its SHA-256, and what it was trained on")
    show.add_argument("file", metavar="FILE", type=Path, help="safetensors, or a torch state dict")
    show.add_argument("--json", action="store_true", help="print JSON")
    convert = actions.add_parser("convert", help="write the tensors of a torch checkpoint as safetensors")
    convert.add_argument("file", metavar="FILE", type=Path, help="a torch checkpoint")
    convert.add_argument("out", metavar="OUT.safetensors", type=Path, help="the new file")


def run(args: argparse.Namespace) -> int:
    return {"show": _show, "convert": _convert}[args.action](args)


def _show(args: argparse.Namespace) -> int:
    from synthbench.cli._tables import table_lines
    from synthbench.datasets.weights_card import read_card
    from synthbench.toolkit.training.weights import sha256
    from synthbench.toolkit.training.weights_conversion import tensor_infos

    card, infos = read_card(args.file), tensor_infos(args.file)
    if args.json:
        tensors = [{"name": name, "shape": list(i.shape), "dtype": i.dtype} for name, i in infos.items()]
        content: dict[str, Any] = {"file": str(args.file), "sha256": sha256(args.file), "tensors": tensors}
        print(json.dumps({**content, **_card_fields(card)}, indent=1, ensure_ascii=False))
        return 0
    rows = [[name, " × ".join(map(str, info.shape)) or "–", info.dtype] for name, info in infos.items()]
    print("\n".join(table_lines(["TENSOR", "shape", "type"], rows, left=(0, 1, 2))))
    print(f"\n{len(infos)} tensors, SHA-256 {sha256(args.file)}")
    print(f"trained on: {_trained_on(card)}")
    for name in ("licence", "source", "citation"):
        if text := getattr(card, name):
            print(f"{name}: {text}")
    return 0


def _convert(args: argparse.Namespace) -> int:
    from shutil import copyfile

    from synthbench.datasets.weights_card import card_file
    from synthbench.errors import join_names
    from synthbench.toolkit.training.weights_conversion import convert_weights

    extracted = convert_weights(args.file, args.out)
    where = f" (found under {extracted.found_at})" if extracted.found_at else ""
    print(f"{args.out}: {len(extracted.tensors)} tensors{where}")
    if extracted.left_out:
        print(f"left out: {join_names(extracted.left_out)}")
    declaration, beside = card_file(args.file), card_file(args.out)
    if declaration.is_file() and not beside.exists():
        copyfile(declaration, beside)
        print(f"{beside}: copied from {declaration}")
    return 0


def _card_fields(card: WeightsCard) -> dict[str, Any]:
    trained_on = None if card.trained_on is None else list(card.trained_on)
    return {"trained_on": trained_on, "licence": card.licence, "source": card.source, "citation": card.citation}


def _trained_on(card: WeightsCard) -> str:
    if card.trained_on is None:
        return "not declared; write a file FILE.yaml beside it, with trained_on: [NAME, …]"
    names = ", ".join(card.trained_on) or "nothing"
    return f"{names} (recognised by its file name)" if card.declared_by == "name" else names
