"""Reading: where text stands on an image, and what it says."""
