"""The methods, one file per paper, and their registry."""

from . import bab as bab
from . import ensemble as ensemble
from . import pdautor as pdautor
from .base import MethodInfo as MethodInfo
from .registry import get_method as get_method
from .registry import list_methods as list_methods
from .registry import register as register
from .registry import resolve_config as resolve_config
