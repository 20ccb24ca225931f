"""Runs as documents of other standards: one module each, whose `document` gives the text.

    openlineage   OpenLineage 2-0-2 run events, one JSON object a line
    prov          W3C PROV-JSON
    slsa          in-toto Statement v1 with SLSA provenance v1 as its predicate
    cyclonedx     CycloneDX 1.6, an ML-BOM

What a standard has no place for goes into its own extension point (facets, attributes, properties).
Nothing here is signed, and nothing is said that the record does not say.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from mlver.lineage.exports.material import Material

FORMATS = ("cyclonedx", "openlineage", "prov", "slsa")


def text(form: str, materials: Sequence[Material]) -> str:
    """The document of runs in one of FORMATS; the first of them is what was asked for.

    Raises UsageError where the standard cannot say it: no output, no content.
    """
    module = importlib.import_module(f"mlver.lineage.exports.{form}")
    document: str = module.document(materials)
    return document
