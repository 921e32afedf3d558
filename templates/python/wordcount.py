"""Counts words and prints them as YAML, most frequent first."""

import collections
import re
import sys

import yaml


def count_words(text: str) -> dict[str, int]:
    """Returns each word of the text, in lower case, with how often it stands there."""
    counter = collections.Counter(re.findall(r"\w+", text.lower()))
    return dict(sorted(counter.items(), key=lambda entry: (-entry[1], entry[0])))


if __name__ == "__main__":
    yaml.safe_dump(count_words(sys.stdin.read()), sys.stdout, sort_keys=False, allow_unicode=True)
