"""Published poisoning attacks, to test and show what the methods do. One file per attack."""

from .badnets import BadNets as BadNets
from .base import Attack as Attack
from .blend import Blend as Blend
from .poisoned import PoisonedDataset as PoisonedDataset
from .sig import SIG as SIG
from .wanet import WaNet as WaNet

ATTACKS: dict[str, type[Attack]] = {attack.name: attack for attack in (BadNets, Blend, SIG, WaNet)}
