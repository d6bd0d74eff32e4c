"""Settings and where each one comes from.

Precedence, strongest first: a flag of the command, the environment (``RUSTYBT_HOME``, ``RUSTYBT_CACHE_MAX_SIZE_BYTES``), the
project's ``./rustybt.toml``, the user's own file (``RUSTYBT_CONFIG_FILE``, else ``config.toml`` in the platform's
configuration folder), the default. Dotted keys are tables in the files::

    home = "/data/rustybt"

    [cache]
    max_size_bytes = "20GB"

    [sources.polygon]
    requests_per_minute = 100

How a source is reached is set for each by its name, in the environment as ``RUSTYBT_SOURCES_POLYGON_REQUESTS_PER_MINUTE``.
Keys are no settings: they come from the vendor's environment variable, the keyring or ``credentials.toml``.
"""

from rustybt.config.files import PROJECT_FILE, USER_FILE_VARIABLE, default_home, to_toml, user_file, write_atomically
from rustybt.config.settings import (
    ENVIRONMENT_PREFIX,
    Config,
    Settings,
    describe_setting,
    environment_variable,
    load_settings,
    set_value,
    setting_key,
    setting_keys,
    shown_value,
    source_settings,
)
from rustybt.config.values import parse_duration, parse_freshness, parse_size

__all__ = [
    "ENVIRONMENT_PREFIX",
    "PROJECT_FILE",
    "USER_FILE_VARIABLE",
    "Config",
    "Settings",
    "default_home",
    "describe_setting",
    "environment_variable",
    "load_settings",
    "parse_duration",
    "parse_freshness",
    "parse_size",
    "set_value",
    "setting_key",
    "setting_keys",
    "shown_value",
    "source_settings",
    "to_toml",
    "user_file",
    "write_atomically",
]
