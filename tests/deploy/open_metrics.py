"""Reads OpenMetrics text from standard input and prints the name and the type of each family. Any fault is an error."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

for family in text_string_to_metric_families(sys.stdin.read()):
    print(family.name, family.type)
