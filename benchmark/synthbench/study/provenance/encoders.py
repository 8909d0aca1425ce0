"""The choice of the encoder that fidelity is measured with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synthbench.errors import ConfigError, PluginError
from synthbench.plugin.api import Config, Encoder
from synthbench.plugin.registry import registry
from synthbench.study.provenance.plugin_settings import full_config, own_fingerprint

__all__ = ["PREFERRED", "PickedEncoder", "pick_encoder"]

PREFERRED = ("inception", "untrained")
"""Only the first may be called FID and KID; the second needs no weights and so runs anywhere."""


@dataclass(frozen=True)
class PickedEncoder:
    """An encoder that can run here.

    Attributes
    ----------
    name : str
    cls : type
        The plugin's class.
    config : Config
    fingerprint : str
        Its network and weights, as `synthbench.Encoder.fingerprint` names them.
    """

    name: str
    cls: type[Encoder[Any]]
    config: Config
    fingerprint: str


def pick_encoder(name: str | None, config: Mapping[str, Any]) -> PickedEncoder:
    """Return the encoder of this name, or without a name the first of `PREFERRED` that can run here.

    Parameters
    ----------
    name
    config
        Keys of the configuration of the named encoder; ignored without a name.

    Raises
    ------
    PluginError, ConfigError
        If the named one can't run, with what it needs; or if none can.
    """
    for candidate in [name] if name else PREFERRED:
        if not name and ("encoder", candidate) not in registry().entries:
            continue
        owner = f"encoder {candidate!r}"
        cls: Any = registry().load("encoder", candidate)
        complete = cls.Config.model_validate(full_config(cls, config if name else {}, owner))
        reason = cls.unavailable(complete)
        if not reason:
            return PickedEncoder(candidate, cls, complete, own_fingerprint(cls, complete, owner))
        if name:
            raise ConfigError(f"{owner} can't run: {reason}")
    raise PluginError(f"no encoder can run; installed: {', '.join(registry().names('encoder'))}")
