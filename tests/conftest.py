"""Every test has a home of its own: nobody's real bundles or settings are ever touched."""

import os

import pytest


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """Point RustyBT at an empty folder, and away from the user's settings."""
    for name in [name for name in os.environ if name.startswith("RUSTYBT_")]:
        monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("rustybt")
    monkeypatch.setenv("RUSTYBT_HOME", str(folder / "home"))
    monkeypatch.setenv("RUSTYBT_CONFIG_FILE", str(folder / "config.toml"))
    return folder / "home"
