"""Kernel command lines and what Linux makes of them (lib/cmdline.c: next_arg).

For both readers that there are: drophammer/cmdline.py and the agent's own.
"""

#: (as written, the words as name and value)
SAMPLES = [
    ("", []),
    ("  quiet\tro \n", [("quiet", None), ("ro", None)]),
    ("root=/dev/sda1 init=/bin/sh", [("root", "/dev/sda1"), ("init", "/bin/sh")]),
    ("a=1 a=2 a", [("a", "1"), ("a", "2"), ("a", None)]),
    ("a= b", [("a", ""), ("b", None)]),
    ("a=b=c", [("a", "b=c")]),
    ("=a", [("=a", None)]),
    ("=a=b", [("=a", "b")]),
    ('a="b c" d', [("a", "b c"), ("d", None)]),
    ('"a=b c" d', [("a", "b c"), ("d", None)]),
    ('"a b" c', [("a b", None), ("c", None)]),
    ('a=b"c d"e f', [("a", 'b"c d"e'), ("f", None)]),
    ('a="b"c d', [("a", 'b"c'), ("d", None)]),
    ('"" a', [("", None), ("a", None)]),
    ('a="" b', [("a", ""), ("b", None)]),
    ('a="b c', [("a", "b c")]),
    ('a="', [("a", "")]),
    ('"a="b c"', [("a", "b"), ('c"', None)]),
    ("quiet -- single x=1", [("quiet", None), ("--", None), ("single", None), ("x", "1")]),
    ("quiet --- keep", [("quiet", None), ("---", None), ("keep", None)]),
    ("dyndbg='a b'", [("dyndbg", "'a"), ("b'", None)]),
    (r"a=\"b c", [("a", '\\"b c')]),
]
