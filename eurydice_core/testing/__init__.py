"""For plugin authors: conformance kits, one a kind, and fakes that pass them.

A kit is a class of tests to inherit from; the plugin's own test class says how to make
one of its objects, and inherits every obligation:

    class TestFileStorage(StorageConformance):
        @pytest.fixture
        def storage(self, tmp_path: Path) -> Storage:
            return FileStorage(tmp_path)
"""

from __future__ import annotations
