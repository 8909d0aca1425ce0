"""The encoder that a study measures fidelity with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthbench.errors import ConfigError, StoreError, suggest
from synthbench.plugin.registry import registry
from synthbench.store import Store
from synthbench.study.provenance.plugin_settings import own_fingerprint
from synthbench.study.provenance.plugins import PluginFingerprint, fingerprint_plugin

__all__ = ["PREFERRED", "pick_encoder"]

PREFERRED = ("inception", "untrained")
"""Only the first may be called FID and KID; the second needs no weights and so runs anywhere."""


def pick_encoder(store: Store, name: str | None, config: Mapping[str, Any]) -> tuple[PluginFingerprint, str]:
    """Return the encoder for fidelity, and the fingerprint of its network and weights.

    Without a name: the first of `PREFERRED` that can run here.

    Raises
    ------
    PluginError, ConfigError
        If the named one can't run, with what would make it.
    """
    for candidate in [name] if name else PREFERRED:
        if not name and ("encoder", candidate) not in registry().entries:
            continue
        cls: Any = registry().load("encoder", candidate)
        plugin = fingerprint_plugin(store, "encoder", candidate, config if name else {})
        config_object = cls.Config.model_validate(dict(plugin.config))
        reason = cls.unavailable(config_object)
        if not reason:
            return plugin, own_fingerprint(cls, config_object, f"encoder {candidate!r}")
        if name:
            raise ConfigError(f"encoder {name!r} can't run: {reason}")
    raise StoreError(
        f"no encoder can run; there are: {', '.join(registry().names('encoder'))}{suggest('untrained', [])}"
    )
