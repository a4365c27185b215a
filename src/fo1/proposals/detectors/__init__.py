"""Proposers from detectors of transformers, one file per family."""
