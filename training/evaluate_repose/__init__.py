"""Measure re-posing: what users get from `voltface repose`, in figures and contact sheets.

`python -m training.evaluate_repose NAME …` runs one tool; each module is one of them. Real
heads are looked at through Face Mesh in its static mode, one picture at a time, so that no
tracker's memory can flatter or spoil a figure.
"""
