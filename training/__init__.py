"""Experiments that make the shipped weights; never imported by ``stream``."""
