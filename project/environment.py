"""Addresses that name environment variables, so that no password has to stand in `leads.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from project.errors import SettingsError, name_some

__all__ = ["fill_variables", "named_variables"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")


def named_variables(url: str) -> tuple[str, ...]:
    """Return the variables that a `url` names, in order, each once.

    >>> named_variables("postgresql://${CRM_USER}:${CRM_PASSWORD}@db/crm")
    ('CRM_USER', 'CRM_PASSWORD')
    """
    return tuple(dict.fromkeys(_VARIABLE.findall(url)))


def fill_variables(url: str, environment: Mapping[str, str]) -> str:
    """Put the values of environment variables into a `url`.

    A value in the place of user or password may hold any sign: it is percent-encoded. Elsewhere it goes in as it is.

    Raises
    ------
    SettingsError
        A variable is not set; the message names it, and no value.

    Examples
    --------
    >>> fill_variables("postgresql://bob:${SECRET}@${HOST}/crm", {"SECRET": "p@ss/1", "HOST": "db:5433"})
    'postgresql://bob:p%40ss%2F1@db:5433/crm'
    >>> fill_variables("${CRM_URL}", {"CRM_URL": "sqlite:///crm.db"})
    'sqlite:///crm.db'
    """
    unset = [name for name in named_variables(url) if name not in environment]
    if unset:
        raise SettingsError(
            f"url names {name_some(f'${{{name}}}' for name in unset)}, but no such environment variable is set. "
            "Set it where leads runs, or correct url in leads.toml."
        )
    login = range(max(0, url.find("://")), max(0, url.rfind("@")))

    def value_of(found: re.Match[str]) -> str:
        value = environment[found[1]]
        return quote(value, safe="") if found.start() in login else value

    return _VARIABLE.sub(value_of, url)
