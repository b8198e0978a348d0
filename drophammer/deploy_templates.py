"""Queries on deploy templates."""

from __future__ import annotations

from drophammer.model import DeployTemplate
from drophammer.rows import Rows

DEPLOY_TEMPLATES = Rows(DeployTemplate, "Deploy template", taken={"name": "name {name}"})
