"""The API's description for machines (OpenAPI 3.1): what the routes say, and what they cannot."""

from __future__ import annotations
