"""Metrics as CloudWatch's embedded format: one JSON line per count, which CloudWatch reads out of the log."""

from aws_lambda_powertools.metrics import MetricUnit, single_metric

NAMESPACE = "Parley"


class EmbeddedMetrics:
    """`ports.Metrics` of a function."""

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def count(self, name: str, value: float = 1, **dimensions: str) -> None:
        """See `ports.Metrics.count`."""
        defaults = {"stage": self._stage, **dimensions}
        with single_metric(name, MetricUnit.Count, value, namespace=NAMESPACE, default_dimensions=defaults):
            pass
