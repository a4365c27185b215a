"""The proposers there are, by name. Installed packages add theirs under the entry points "fo1.proposers"."""

from __future__ import annotations

from fo1.proposals.cached import CachedProposals
from fo1.proposals.detectors.detr import DetrProposer
from fo1.proposals.detectors.grounding_dino import GroundingDinoProposer
from fo1.proposals.detectors.omdet import OmDetProposer
from fo1.proposals.detectors.owlv2 import Owlv2Proposer
from fo1.proposals.detectors.sam3 import Sam3Proposer
from fo1.proposals.given import GivenBoxes
from fo1.proposals.nanodet import NanoDetProposer
from fo1.proposals.proposer import Proposer
from fo1.proposals.text import TextProposer
from fo1.registry import Registry

# Each factory takes what its proposer needs: an encoder, boxes, a file, a model.
PROPOSERS: Registry[Proposer] = Registry("fo1.proposers")
PROPOSERS.register("nanodet")(NanoDetProposer)
PROPOSERS.register("given")(GivenBoxes)
PROPOSERS.register("cached")(CachedProposals)
PROPOSERS.register("text")(TextProposer)
PROPOSERS.register("detr")(DetrProposer)
PROPOSERS.register("rtdetr")(DetrProposer)
PROPOSERS.register("owlv2")(Owlv2Proposer)
PROPOSERS.register("omdet")(OmDetProposer)
PROPOSERS.register("groundingdino")(GroundingDinoProposer)
PROPOSERS.register("sam3")(Sam3Proposer)
