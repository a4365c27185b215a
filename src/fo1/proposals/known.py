"""The proposers there are, by name. Installed packages add theirs under the entry points "fo1.proposers"."""

from __future__ import annotations

from fo1.proposals.cached import CachedProposals
from fo1.proposals.given import GivenBoxes
from fo1.proposals.nanodet import NanoDetProposer
from fo1.proposals.proposer import Proposer
from fo1.registry import Registry

# Each factory takes what its proposer needs: an encoder, boxes, a file.
PROPOSERS: Registry[Proposer] = Registry("fo1.proposers")
PROPOSERS.register("nanodet")(NanoDetProposer)
PROPOSERS.register("given")(GivenBoxes)
PROPOSERS.register("cached")(CachedProposals)
