import pytest

from synthbench.testing import assert_contract


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("generator", "example-elastic"),
        ("generator", "example-painter"),
        ("segmenter", "example-watershed"),
        ("encoder", "example-texture"),
        ("dataset", "example-epithelium"),
        ("engine", "example-fresh"),
    ],
)
def test_it_keeps_the_contract(kind: str, name: str) -> None:
    assert_contract(kind, name)
