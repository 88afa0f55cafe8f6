"""Restoration: take the poison off the pixels, check the result and restore the labels."""

from .card import Card as Card
from .config import DEFAULT as DEFAULT
from .config import FAST as FAST
from .config import PAPER as PAPER
from .config import RestorationConfig as RestorationConfig
from .quality import Quality as Quality
from .quality import check_quality as check_quality
from .restorer import Restorer as Restorer
from .training import train_restorer as train_restorer
from .warm_start import adapt_restorer as adapt_restorer
