"""Published poisoning attacks, to test and show what the methods do. One file per attack."""

from .adaptive_blend import AdaptiveBlend as AdaptiveBlend
from .badnets import BadNets as BadNets
from .base import Attack as Attack
from .blend import Blend as Blend
from .composite import Composite as Composite
from .issba import ISSBA as ISSBA
from .poisoned import PoisonedDataset as PoisonedDataset
from .refool import Refool as Refool
from .sig import SIG as SIG
from .wanet import WaNet as WaNet

ATTACKS: dict[str, type[Attack]] = {
    attack.name: attack for attack in (BadNets, Blend, SIG, WaNet, ISSBA, Refool, Composite, AdaptiveBlend)
}
