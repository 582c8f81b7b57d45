"""The account service under load: users who ask, wait for the answer, and ask again.

Latency counts from when a user wants to ask, so the wait for a connection is in it.
"""

from collections.abc import Callable
from typing import Any

import pytest

from groundspeed.load import Closed, Http
from groundspeed.plugins.load_harness import LoadTestHarness
from groundspeed.plugins.measured import Measured

pytestmark = pytest.mark.performance


def _reading(service: Any) -> Http:
    """Any of its accounts."""
    return Http(
        url=f"{service.url}/v1/accounts/acc_{{n:6}}",
        headers=service.headers,
        keys=service.accounts,
    )


class TestSmallScaleLoad:
    @pytest.mark.groundspeed(scenario=True)
    def test_100_accounts_single_user(
        self,
        account_service: Callable[..., Any],
        load_test_harness: LoadTestHarness,
        measured: Measured,
    ) -> None:
        """One user reads accounts, one after the other."""
        service = account_service(100)
        measured.setting(accounts=100, users=1, database=service.engine)
        run = load_test_harness.run(
            _reading(service),
            name="100_accounts_single_user",
            model=Closed(users=1),
            duration=3.0,
            watch=(service.pid,),
        )
        measured.load(run.result)
        measured.judge()
