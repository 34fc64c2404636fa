"""The tables of the papers, to be printed beside what is measured here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.evaluate_repose.report import Row

PIX2VERTEX_1: list[Row] = [
    {"method": "3DMM by landmarks [24]*", "mean %": 3.89, "std %": 4.14, "median %": 2.94,
     "90 %": 7.34},
    {"method": "[46]*", "mean %": 3.85, "std %": 3.23, "median %": 2.93, "90 %": 7.91},
    {"method": "[32]*", "mean %": 3.61, "std %": 2.99, "median %": 2.72, "90 %": 6.82},
    {"method": "pix2vertex*", "mean %": 3.51, "std %": 2.69, "median %": 2.65, "90 %": 6.59},
    {"method": "multi-view supervision*", "mean %": 2.95, "std %": 2.83, "median %": 2.22,
     "90 %": 3.26},
]  # fmt: skip
EXPRESSIONS = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
PIX2VERTEX_2: list[Row] = [
    {"method": "pix2vertex*", "AN": 3.67, "DI": 3.34, "FE": 3.36, "HA": 3.01, "NE": 3.17,
     "SA": 3.37, "SU": 4.41},
    {"method": "multi-view supervision*", "AN": 2.96, "DI": 3.00, "FE": 2.85, "HA": 2.77,
     "NE": 2.67, "SA": 2.95, "SU": 2.75},
]  # fmt: skip
FLORENCE: list[Row] = [
    {"method": "multi-view supervision*", "NME": 0.0475},
    {"method": "volumetric regression [19]*", "NME": 0.0509},
    {"method": "[57]*", "NME": 0.0975},
    {"method": "[18]*", "NME": 0.1253},
    {"method": "position maps [9]*", "NME": 0.0362},
]
BIWI: list[Row] = [
    {"method": "Zhu [61]*", "face mm": 5.05, "beside mm": 8.56},
    {"method": "Deep 3D Portrait, no face depth*", "face mm": 4.31, "beside mm": 7.39},
    {"method": "Deep 3D Portrait*", "face mm": 3.88, "beside mm": 6.78},
]
OF_LAYOUT = {"florence": (FLORENCE, "Florence"), "biwi": (BIWI, "Biwi")}
NOTE = "Rows with * are the papers' own figures, measured on {data}; the others on: {source}."
