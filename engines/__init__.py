"""Networks and shipped weights; imports neither ``stream`` nor ``training``."""
