"""Errors a user can cause. All are `ValueError`s whose message names the thing and the remedy."""


class Fo1Error(ValueError):
    """Base of every error that a wrong input can raise."""


class ImageError(Fo1Error):
    """The image cannot be read, or is larger than the limit."""


class RegionError(Fo1Error):
    """Boxes are not finite, have the wrong shape, or do not fit what the model can take."""


class PromptError(Fo1Error):
    """A question or label cannot be asked."""


class CheckpointError(Fo1Error):
    """A model folder or its weights are missing, truncated or do not fit."""


class SceneError(Fo1Error):
    """A saved scene cannot be read or written, or is of another model."""


class RegistryError(Fo1Error):
    """An unknown plug-in name."""
