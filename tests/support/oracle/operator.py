"""What the Prometheus Operator accepts: a schema of the fields that deploy/kubernetes uses."""

import json

from jsonschema import Draft7Validator

from tests.support.paths import ROOT

SCHEMA = Draft7Validator(
    json.loads((ROOT / "tests/deploy/schema/prometheus-operator.json").read_text(encoding="utf-8"))
)
