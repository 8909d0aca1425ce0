"""What every plugin's configuration does."""

from __future__ import annotations

from typing import ClassVar

import pytest
from pydantic import ValidationError

from synthbench import Config
from synthbench.errors import ConfigError
from synthbench.study.provenance.plugin_settings import full_config


class Shared(Config):
    renamed: ClassVar[dict[str, str]] = {"width": "filters"}
    filters: int = 4


class Method(Shared):
    renamed: ClassVar[dict[str, str]] = {"momentum": "beta1"}
    beta1: float = 0.5


class Owner:
    Config = Method


@pytest.mark.parametrize(("old", "new"), [("width", "filters"), ("momentum", "beta1")])
def test_an_old_key_is_refused_in_a_line_that_names_the_new_one(old: str, new: str) -> None:
    with pytest.raises(ConfigError) as caught:
        full_config(Owner, {old: 1}, "generator 'x'")
    assert f"{old}: " in str(caught.value)
    assert new in str(caught.value)
    assert "\n" not in str(caught.value)


def test_new_keys_are_taken() -> None:
    assert Method(filters=8, beta1=0.1).model_dump() == {"filters": 8, "beta1": 0.1}


def test_an_old_name_that_a_subclass_uses_again_is_its_own() -> None:
    class Again(Shared):
        width: float = 1.0

    assert Again(width=2.0).width == 2.0


def test_a_renaming_must_lead_to_a_field() -> None:
    with pytest.raises(TypeError, match="nowhere"):

        class Broken(Config):
            renamed: ClassVar[dict[str, str]] = {"old": "nowhere"}


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="momenta"):
        Method.model_validate({"momenta": 1})
