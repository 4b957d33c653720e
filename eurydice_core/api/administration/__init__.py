"""What web plugins are given to administer a side with."""

from __future__ import annotations
