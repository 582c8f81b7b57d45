"""Requests made from the OpenAPI document, by schemathesis, against the running service.

    python -m tools.evaluation.api_document [--examples 200] [--seed 1]

Every operation, with the checks that schemathesis has by default. One of them is left out for two
operations: that whatever the document allows is accepted. A page's token is a text like any other
to the document, and the service refuses those that it did not give out.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.evaluation.account_server import seeded_file, served

__all__ = ["Findings", "main", "tried"]

_CONFIGURATION = "\n".join(
    f"""[[operations]]
include-name = "GET {path}"
[operations.checks]
positive_data_acceptance.enabled = false
"""
    for path in ("/v1/accounts", "/v1/accounts/{id}/activities")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came of it.

    Attributes:
        operations: How many were tried.
        cases: How many requests were made up.
        failures: How many findings.
        text: The report.
    """

    operations: int
    cases: int
    failures: int
    text: str


def tried(url: str, token: str, *, examples: int, seed: int) -> Findings:
    """Try the service at a URL."""
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "schemathesis.toml"
        configuration.write_text(_CONFIGURATION, encoding="utf-8")
        command = [sys.executable, "-m", "schemathesis.cli", f"--config-file={configuration}"]
        command += ["run", f"{url}/openapi.json", "--no-color"]
        command += ["-H", f"Authorization: Bearer {token}"]
        command += ["-n", str(examples), "--seed", str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    text = done.stdout + done.stderr
    cases = re.search(r"([\d,]+) generated(?:, ([\d,]+) found)?", text)
    operations = re.search(r"Tested: (\d+)", text)
    if cases is None or operations is None:
        raise SystemExit(f"api_document: schemathesis said nothing of use:\n{text}")
    return Findings(
        operations=int(operations.group(1)),
        cases=int(cases.group(1).replace(",", "")),
        failures=int((cases.group(2) or "0").replace(",", "")) or int(done.returncode != 0),
        text=text,
    )


def main() -> None:
    """Print what came of it; the report too if there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with seeded_file(200) as path, served(f"sqlite:///{path}") as service:
        found = tried(service.url, service.token, examples=options.examples, seed=options.seed)
    if found.failures:
        print(found.text)
    print(f"{found.operations} operations, {found.cases:,} cases, {found.failures} findings")


if __name__ == "__main__":
    main()
