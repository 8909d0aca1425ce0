"""A file's hash is that of what its code does: comments don't count, and every Python gives the same."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from synthbench.study.provenance import _syntax_trees as syntax_trees

PLAIN = """
import numpy as np
from torch import nn


class Net(nn.Module):
    rate: float = 1e-3

    def forward(self, x, *, scale=2):
        return x * scale
"""

SAME = {
    "a comment": PLAIN.replace("    rate", "    # how fast\n    rate"),
    "docstrings": PLAIN.replace("class Net(nn.Module):", 'class Net(nn.Module):\n    """A network."""\n').replace(
        "scale=2):", 'scale=2):\n        """Scale."""'
    ),
    "a module's docstring": '"""Networks."""' + PLAIN,
    "a docstring of an attribute": PLAIN.replace("1e-3", '1e-3\n    """How fast."""'),
    "layout": PLAIN.replace("x * scale", "(\n            x\n            * scale\n        )"),
    "quotes and numbers": PLAIN.replace("1e-3", "0.001"),
    "a trailing comma": PLAIN.replace("scale=2)", "scale=2,)"),
    "line ends": PLAIN.replace("\n", "\r\n"),
    "pass": PLAIN + "    pass\n",
}
OTHER = {
    "a number": PLAIN.replace("scale=2", "scale=3"),
    "a kind of number": PLAIN.replace("scale=2", "scale=2.0"),
    "an operator": PLAIN.replace("x * scale", "x / scale"),
    "an annotation": PLAIN.replace("rate: float", "rate: int"),
    "an import": PLAIN.replace("import numpy as np", "import numpy as np\nimport scipy"),
    "a default's name": PLAIN.replace("scale", "ratio"),
    "a decorator": PLAIN.replace("    def", "    @property\n    def"),
    "None for nothing": PLAIN.replace("scale=2", "scale=None"),
    "a text that is used": PLAIN + '\nWORDS = "a"\n',
    "an order": PLAIN.replace("import numpy as np\nfrom torch import nn", "from torch import nn\nimport numpy as np"),
}


def digest(tmp_path: Path, text: str) -> str:
    path = tmp_path / f"module{len(list(tmp_path.iterdir()))}.py"
    path.write_bytes(text.encode())
    return syntax_trees.parse(path.read_bytes()).digest


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_what_does_nothing_does_not_count(tmp_path: Path, text: str) -> None:
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(PLAIN)) or '"""' in text or "pass" in text
    assert digest(tmp_path, text) == digest(tmp_path, PLAIN)


@pytest.mark.parametrize("text", OTHER.values(), ids=OTHER)
def test_what_the_code_does_counts(tmp_path: Path, text: str) -> None:
    assert digest(tmp_path, text) != digest(tmp_path, PLAIN)


def test_what_differs_in_value_or_place_differs(tmp_path: Path) -> None:
    """Fields are left out where they are empty; none may be taken for another."""
    texts = [
        *("f()", "f(*a)", "f(**a)", "f(a=a)", "f(a)", "f[a]", "f[a:]", "f[:a]", "f[::a]", "f[:]"),
        *("x = 1", "x = True", "x = 1.0", "x = '1'", "x = b'1'", "x = 1j", "x = ...", "x = None", "x: None"),
        *("return_ = 1", "def f(): return", "def f(): return None", "def f(a): 0", "def f(*a): 0", "def f(*, a): 0"),
        *("def f(): return ''", "def f(): return f''", "g(f'')", "g('')"),
        *("f'{a}'", "f'{a!r}'", "f'{a:x}'", "f'{a:{x}}'", "f'a'", "f'{a}b'", "f'b{a}'", "f'{a}' f'{b}'"),
        *("def f(a, b=1): 0", "def f(a=1, b=1): 0", "def f(a, /, b=1): 0", "def f(*, a, b=1): 0", "lambda: 0"),
        *("if a: b", "if a: b\nelse: c", "while a: b", "for a in b: c", "async def f(): 0", "with a: b"),
        *("try: a\nexcept: b", "try: a\nfinally: b", "try: a\nexcept* E: b", "raise", "raise a", "raise a from b"),
        *("match a:\n case 1: b", "match a:\n case None: b", "match a:\n case [1, *_]: b", "match a:\n case _: b"),
        *("class A: 0", "class A(B): 0", "class A(metaclass=B): 0", "global a", "import a", "import a as b"),
        *(
            "from a import b",
            "from . import b",
            "from .a import b",
            "from .. import b",
            "del a",
            "assert a",
            "assert a, b",
        ),
        *("{}", "{a}", "{a: b}", "{**a}", "[]", "()", "[a]", "(a,)", "[a for a in b]", "{a for a in b}", "a < b < c"),
    ]
    found = {digest(tmp_path, text) for text in texts}
    assert len(found) == len(texts)


@pytest.mark.parametrize("text", ["this is no Python", "x = '\0'", "(" * 3000 + ")" * 3000])
def test_what_is_no_python_counts_by_its_bytes(tmp_path: Path, text: str) -> None:
    assert digest(tmp_path, text) == digest(tmp_path, text) != digest(tmp_path, text + " ")
    assert {syntax_trees.parse(path.read_bytes()).imports for path in tmp_path.iterdir()} == {()}


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        "import a.b, c as d\ndef f():\n    from e.f import g, h\n    from . import i\n    from .j import k\n"
    )
    assert set(syntax_trees.parse((tmp_path / "module.py").read_bytes()).imports) == {
        syntax_trees.Import("a.b"),
        syntax_trees.Import("c"),
        syntax_trees.Import("e.f", ("g", "h")),
    }


TRICKY = """
from __future__ import annotations
import re
x: int = 0x1_000_000_000_000_000_000_000
NAMES = ["é", u"u", b"\\x00", r"\\d", "a" "b", 1_000, 1e3, 2j, ..., None, True, -0.0]
def f(a, /, b: int = 1, *c, d=None, **e) -> None:
    def inner(): ...
    return f"{a}b{c!r:>{b}}{d = }" f"" "tail" f"{e:}"
async def g():
    async with a as b, c: await d
    return [i async for i in h() if i]
class C(B, metaclass=M):
    @property
    def p(self): yield from (lambda *, k=1: k)()
match x:
    case {"a": [1, *rest], **others} if rest: pass
    case C(p=1) | None: del x[1:2, ::3]
try:
    pass
except* ValueError as error: raise error from None
while (n := 1): break
else: global y
"""


def test_the_hash_of_one_file_never_changes(tmp_path: Path) -> None:
    """Whatever Python runs this: each has its own idea of `ast.dump`."""
    assert digest(tmp_path, TRICKY) == "7c13cf45fba41a51349c2296a6d9165ce9bbc19497cb7f7e472bb1eb5c6d4c40"


def test_other_pythons_give_the_same_hash(tmp_path: Path) -> None:
    path = tmp_path / "tricky.py"
    path.write_text(TRICKY, encoding="utf-8")
    program = (
        "import importlib.util, pathlib, sys\n"
        "spec = importlib.util.spec_from_file_location('syntax', sys.argv[1])\n"
        "module = sys.modules['syntax'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "for name in sys.argv[2:]: print(module.parse(pathlib.Path(name).read_bytes()).digest)\n"
    )
    files = [path, *sorted(Path(syntax_trees.__file__).parent.parent.rglob("*.py"))[:40]]
    expected = [syntax_trees.parse(file.read_bytes()).digest for file in files]
    tried = 0
    for minor in (11, 12, 13, 14):
        other = shutil.which(f"python3.{minor}")
        if other is None or minor == sys.version_info.minor:
            continue
        done = subprocess.run(
            [other, "-c", program, syntax_trees.__file__, *map(str, files)], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            tried += 1
            assert done.stdout.split() == expected, other
    if not tried:
        pytest.skip("there is no other Python here")
