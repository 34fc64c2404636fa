"""Measuring face swap: sources, and swapped clips."""
