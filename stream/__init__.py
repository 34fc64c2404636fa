"""The live path of voltface: capture, track, fit, re-pose, composite, sink."""
