import unittest

from wordcount import count_words


class CountWords(unittest.TestCase):
    def test_counts_regardless_of_case(self):
        self.assertEqual(count_words("The cat, the hat"), {"the": 2, "cat": 1, "hat": 1})

    def test_empty_text(self):
        self.assertEqual(count_words(""), {})


if __name__ == "__main__":
    unittest.main()
