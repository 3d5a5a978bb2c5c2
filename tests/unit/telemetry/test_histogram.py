from argosy.telemetry.histogram import Histogram


def test_a_bucket_counts_what_is_at_most_its_bound() -> None:
    histogram = Histogram((0.5, 1.0))
    for value in (1.0, 0.1, 0.5, 7.0, 0.6):
        histogram.observe(value)
    histogram.settle()
    assert histogram.buckets() == [("0.5", 2), ("1", 4), ("+Inf", 5)]
    assert histogram.sum == 9.2


def test_values_are_counted_once_however_often_they_are_settled() -> None:
    histogram = Histogram((1.0,))
    histogram.observe(0.5)
    assert (histogram.pending, histogram.counts) == (1, [0, 0])
    histogram.settle()
    histogram.settle()
    histogram.observe(2.0)
    histogram.settle()
    assert (histogram.pending, histogram.counts, histogram.sum) == (0, [1, 2], 2.5)


def test_bounds_are_written_as_prometheus_reads_them() -> None:
    assert [name for name, _ in Histogram((0.00005, 0.01, 10.0, 655.36)).buckets()] == [
        *("5e-05", "0.01", "10", "655.36", "+Inf")
    ]
