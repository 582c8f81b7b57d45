"""What a running service counts about itself."""

import urllib3
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["counted", "scraped"]


def scraped(url: str) -> list[Metric]:
    """The metrics of the service at a URL, at this moment; of one process, see `sergas.api`."""
    answer = urllib3.request("GET", f"{url}/metrics")
    return list(text_string_to_metric_families(answer.data.decode()))


def counted(metrics: list[Metric], name: str, **labels: str) -> float:
    """The sum of those samples of a name that have these labels, such as `sergas_requests_total`.

    Raises:
        KeyError: If the service has nothing of that name; a label that was not seen is 0.
    """
    found = [sample for metric in metrics for sample in metric.samples if sample.name == name]
    if not found:
        raise KeyError(f"the service does not count {name}")
    return sum(
        sample.value
        for sample in found
        if all(sample.labels.get(label) == value for label, value in labels.items())
    )
