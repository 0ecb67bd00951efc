"""What checks shapes and types of our own functions while tests run; pyproject.toml names it."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""An int may stand where a float is wanted, as for every type checker."""
