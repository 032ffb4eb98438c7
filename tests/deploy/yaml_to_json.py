"""The documents of YAML on standard input, as a list in JSON."""

import json
import sys

import yaml

json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)
