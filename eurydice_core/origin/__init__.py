"""The origin: submit, schedule, pack, send; and never delete what was not sent."""

from __future__ import annotations
