"""A long run against the account service: does its memory stay, and is every arrival accounted for?

    python -m tools.evaluation.load_long_run [--minutes 10] [--rate 300]

Poisson arrivals at a steady rate: four in five read an account, the others read briefs and lists,
search, and write activities. The service runs as `sergas serve`, in a process of its own whose tree
is watched, on a SQLite file of 500 accounts: few enough for its cache to be full after a minute, so
that memory which grows later is a leak. What SQLite keeps of the file, up to 4 MiB a connection,
takes longer to fill: the second half of the run says whether memory stays.
"""

import argparse

import numpy as np
from tools.evaluation.account_server import seeded_file, served

from groundspeed.errors import TooFewSamplesError
from groundspeed.load import Http, LoadResult, Open, Operation, Scenario, Steady, run
from groundspeed.load.figures import latency
from groundspeed.load.monitor import slope_of
from groundspeed.stats.quantile import percentile_name

__all__ = ["main"]

_ACCOUNTS = 500
_MIX = (
    ("get", 80.0, "GET", "/v1/accounts/acc_{n:6}", ""),
    ("brief", 8.0, "GET", "/v1/accounts/acc_{n:6}/brief", ""),
    ("list", 5.0, "GET", "/v1/accounts?limit=20&sort=updated_at&cursor=", ""),
    ("search", 3.0, "GET", "/v1/search?q=pricing&account_id=acc_{n:6}", ""),
    (
        "note",
        4.0,
        "POST",
        "/v1/accounts/acc_{n:6}/activities",
        '{"type": "call", "subject": "call {n}", "created_by": "own_001"}',
    ),
)


def main() -> None:
    """Print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=300.0)
    options = parser.parse_args()
    with seeded_file(_ACCOUNTS) as path, served(f"sqlite:///{path}") as service:
        headers = {
            "authorization": f"Bearer {service.token}",
            "content-type": "application/json",
        }
        operations = tuple(
            Operation(
                name=name,
                weight=weight,
                target=Http(
                    url=service.url + place,
                    method=method,
                    headers=headers,
                    body=body,
                    keys=_ACCOUNTS,
                ),
            )
            for name, weight, method, place, body in _MIX
        )
        scenario = Scenario(
            name="long run",
            operations=operations,
            model=Open(rate=options.rate),
            stages=(Steady(duration=options.minutes * 60),),
            watch=(service.process.pid,),
        )
        print(told(run(scenario)))


def told(result: LoadResult) -> str:
    """The run in lines."""
    lines = [
        f"{result.model}, {result.duration_s:.0f} s, warm-up {result.warm_up_s:.0f} s",
        (
            f"offered {result.offered:,} = good {result.recorded - result.failures:,}"
            f" + failed {result.failures:,}: {result.offered == result.recorded}"
        ),
        f"errors {result.errors or 'none'}; Little's law gap {result.littles_law_gap:.2%}",
    ]
    lines += [_percentile(result, share) for share in (0.5, 0.95, 0.99, 0.999)]
    used = result.resources
    if used is not None and used.rss_slope_bytes_per_s is not None:
        tenths = np.array_split(used.rss_bytes / 2**20, 10)
        shown = ", ".join(f"{part.mean():.1f}" for part in tenths)
        lines.append(f"memory of the service by tenths of the run, MiB: {shown}")
        late = used.at_s >= result.duration_s / 2
        slope = slope_of(used.at_s[late], used.rss_bytes[late]) or 0.0
        low, high = (used.rss_bytes[late] / 2**20).min(), (used.rss_bytes[late] / 2**20).max()
        lines.append(
            f"second half: {low:.1f} to {high:.1f} MiB,"
            f" slope {slope * result.duration_s / result.offered:+.1f} bytes a request;"
            f" CPU {used.cpu_share:.2f}, threads {used.threads.max()},"
            f" descriptors {used.descriptors.min()} to {used.descriptors.max()}"
        )
    lines.append("valid" if result.valid else f"INVALID: {'; '.join(result.invalid)}")
    lines.extend(result.notes)
    return "\n".join(lines)


def _percentile(result: LoadResult, share: float) -> str:
    try:
        found = latency(result, share)
    except TooFewSamplesError as error:
        return str(error)
    return (
        f"{percentile_name(share)} {found.value * 1e3:.2f} ms"
        f" [{found.low * 1e3:.2f} .. {found.high * 1e3:.2f}]"
    )


if __name__ == "__main__":
    main()
