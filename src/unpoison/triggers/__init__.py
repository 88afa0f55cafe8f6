"""Triggers: one class for each kind, in a file of its own, and the search for the one that images carry."""

from .base import Comparison as Comparison
from .base import Trigger as Trigger
from .blend import Blend as Blend
from .moving import MovingPatch as MovingPatch
from .patch import Patch as Patch
from .periodic import Periodic as Periodic
from .reference import Reference as Reference
from .registry import UNEXPLAINED as UNEXPLAINED
from .registry import get_trigger as get_trigger
from .registry import register_trigger as register_trigger
from .registry import triggers as triggers
from .search import search_trigger as search_trigger
from .warp import Warp as Warp
