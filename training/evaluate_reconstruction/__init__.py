"""Measures `voltface reconstruct` on scans: `python -m training evaluate reconstruction --help`."""
