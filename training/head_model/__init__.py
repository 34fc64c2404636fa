"""Make, measure and show the 3D head model (``python -m training.head_model``)."""
