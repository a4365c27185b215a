"""One file per family of image-text models."""
