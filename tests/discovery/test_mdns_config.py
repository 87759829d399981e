import pytest

from latticework.discovery import MdnsConfig
from latticework.wire import LocalError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("interface", ["", "all", "::1", "10.0.0.0/24"])
def test_an_interface_that_is_no_ipv4_address_is_refused_at_once(interface: str) -> None:
    with pytest.raises(LocalError):
        MdnsConfig((interface,))
