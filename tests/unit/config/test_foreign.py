"""Variables of orchestrators begin like ours, and must not keep a service from starting."""

from __future__ import annotations

import pytest

from eurydice_core.config import load_settings
from eurydice_core.errors import ConfigurationError


def service_links(service, ports):
    """Return the variables that Kubernetes makes of a service, and Docker of a link."""
    name = service.upper().replace("-", "_")
    first = next(iter(ports.values()))
    variables = {
        f"{name}_SERVICE_HOST": "10.0.0.11",
        f"{name}_SERVICE_PORT": str(first),
        f"{name}_PORT": f"tcp://10.0.0.11:{first}",
        f"{name}_NAME": "/app/eurydice",
        f"{name}_ENV_LANG": "C.UTF-8",
    }
    for port_name, port in ports.items():
        prefix = f"{name}_PORT_{port}_TCP"
        variables |= {
            f"{name}_SERVICE_PORT_{port_name}": str(port),
            prefix: f"tcp://10.0.0.11:{port}",
            f"{prefix}_PROTO": "tcp",
            f"{prefix}_PORT": str(port),
            f"{prefix}_ADDR": "10.0.0.11",
        }
    return variables


@pytest.mark.parametrize(
    "service",
    [
        "eurydice",
        "eurydice-origin",
        "eurydice-api",
        "eurydice-storage",
        "eurydice-a--b",
        "eurydice-upload",
        "eurydice-log",
        "eurydice-side",
    ],
)
def test_addresses_of_services_are_ignored(write, service):
    environ = service_links(service, {"HTTP": 8080, "LINK_UDP": 7400})
    loaded = load_settings(write(), environ)
    assert list(loaded.notes) == []
    assert not any("environment" in place for place in loaded.origins.values())


def test_other_variables_are_ignored_with_a_warning(write):
    loaded = load_settings(write(), {"EURYDICE_X": "1", "EURYDICE_HOME": "/opt", "EURYDICE_": ""})
    assert list(loaded.notes) == [
        "the variable EURYDICE_ is no setting, and is ignored",
        "the variable EURYDICE_HOME is no setting, and is ignored",
        "the variable EURYDICE_X is no setting, and is ignored",
    ]


def test_a_port_that_is_no_address_is_a_misspelt_setting(write):
    with pytest.raises(ConfigurationError, match="did you mean EURYDICE_API__PORT"):
        load_settings(write(), {"EURYDICE_API_PORT": "8080"})
