"""Values that break readers: numbers, texts, nesting, aliases, paths, as JSON, YAML and words."""

import json
from collections.abc import Callable
from random import Random

TEXTS = [
    "", " ", "\t", "\n", "\r\n", "\0", "a\0b", "\ufeff", "\u2028", "\x85", "\x1b[31m", "é", "e\u0301",
    "👩", "\U0010ffff", "\ud83d", "\udc00", "\ud83d\ud83d", "NaN", "nan", "inf", "-inf", "null", "true",
    "~", "=", "<<", "{}", "{name}", "{description}", "{name} {description}", "[X]", "%s", "%", "{0}",
    "../..", "/", "/dev/zero", "/dev/stdin", "~unknown/x", "~", "a" * 300, "a/" * 3000, "<s>", "</s>",
    "<|endoftext|>", "1e5", "0x10", "1_000", "010", "1:30", "2024-99-99", "2024-01-01", "2024-13-45T99:99",
    "on", "no", "*", "&a", "*a", "!x", "!!int x", "@", "`", "|", ">", "- ", "? ", "#", "'", '"', "\\",
    "&a [*a]", "a: b: c", "$(id)", ";", ",", "a,b", '"a', "\U0001f469\u200d\U0001f4bb", "\u202e", "x" * 70_000,
]  # fmt: skip
NUMBERS = [
    "0", "-0", "-1", "1", "2", "3", "1.5", "-1.5", "1e5", "1e11", "1e18", "1e308", "1e309", "1e999", "-1e999",
    "1e-400", "0.1", "100000000000", "1000000000000000000", "9223372036854775807", "9223372036854775808",
    "18446744073709551616", "1" + "0" * 30, "9" * 400, "9" * 5000, "-" + "9" * 5000, "0." + "0" * 5000 + "1",
    "nan", "NaN", "inf", "-inf", "Infinity", "-Infinity", ".inf", ".nan", "1_000", "0x" + "f" * 40, "٣", "²",
    "1e", "--1", "+5", "1,5", "",
]  # fmt: skip
YAML_BITS = [
    "!!int x", "!!int ''", "!!int [1]", "!!float x", "!!bool maybe", "!!null x", "!!str [1]", "!!seq {}",
    "!!map []", "!!set {a, b}", "!!set [a]", "!!omap [a: 1]", "!!omap x", "!!pairs [a: 1]", "!!binary é",
    "!!binary aGk=", "!!binary [", "!!timestamp x", "!!timestamp 2024-99-99", "2024-99-99", "2024-02-30",
    "2024-01-01 99:99:99", "!!python/object/apply:os.system [id]", "!x y", "! x", "!<tag:x> y", "&a [*a]",
    "&a {b: *a}", "*nowhere", "{a: 1, a: 2}", "{[1]: 2}", "{{a: b}: c}", "{? [a] : b}", "{1: 2}", "{null: 1}",
    "{true: 1}", "{<<: 1}", "{<<: [1]}", "{<<: {a: 1}}", "[", "{", "]", "'", '"', '"\\ud800"', '"\\x"', '"\\U11111111"',
    "@x", "`x", "%x", "|", ">", "- - -", "? ?", "a: b: c", "\t", "a:\tb", "[a, [b, [c]]]", "!!merge x", "=", "<<",
    "0o17", "0b1111", "190:20:30", "1:" * 3000 + "1", "0x" + "f" * 5000, "-", "---", "...", "# x", "[,]", "[a b]",
    "{a b}", "&" + "a" * 2000 + " x", "!" * 3000,
]  # fmt: skip


def nested(draw: Random) -> str:
    """Brackets, closed or not, of any depth."""
    depth = draw.choice([2, 10, 63, 64, 65, 100, 990, 1000, 5_000, 100_000])
    opening, closing = draw.choice(
        ["[]", "{}", ('{"a":', "}"), ("{a: ", "}"), ("[1,", "]"), ("- ", "")]
    )
    return (
        opening * depth + draw.choice(["", "1", "x"]) + closing * draw.choice([0, depth - 1, depth])
    )


def aliases(draw: Random) -> str:
    """A bomb of aliases, in lists, in mappings, by merging, or in a chain; sometimes a small one."""
    width, depth = draw.choice([(9, 9), (2, 30), (10, 3), (3, 3), (1, 3_000), (50, 12), (200, 4)])
    form = draw.choice(["[{}]", "{{<<: [{}]}}", "{{x: [{}]}}"])
    parts = ["&a0 [x, x]" if "<<" not in form else "&a0 {x: 1}"]
    for level in range(depth):
        inner = ", ".join([f"*a{level}"] * width)
        parts.append(f"&a{level + 1} {form.format(inner)}")
    if draw.random() < 0.5:
        return "[" + ", ".join(parts) + "]"
    return "\n".join(["bomb:", *(f"  - {part}" for part in parts)])


def number(draw: Random) -> str:
    if draw.random() < 0.3:
        return str(draw.choice([-1, 1]) * draw.randrange(10 ** draw.choice([1, 3, 9, 12, 20, 300])))
    return draw.choice(NUMBERS)


def text(draw: Random) -> str:
    if draw.random() < 0.2:
        return "".join(chr(draw.choice([draw.randrange(128), draw.randrange(0x3000), draw.randrange(0x11_0000)]))
                       for _ in range(draw.randrange(12)))  # fmt: skip
    if draw.random() < 0.02:
        return draw.choice(["x ", "é", "\n", "{name} "]) * draw.choice([100_000, 1_000_000])
    return draw.choice(TEXTS)


def json_value(draw: Random, depth: int = 0) -> str:
    """A value as JSON, or as what is nearly JSON."""
    kinds: list[Callable[[], str]] = [
        lambda: number(draw) or "0",
        lambda: json.dumps(text(draw)),
        lambda: draw.choice(
            ["null", "true", "false", "[]", "{}", '""', "[[]]", "[0]", "[null]", "[1, 2]"]
        ),
        lambda: draw.choice(
            [r'"\ud83d"', r'"\u0000"', r'"\ud83d\udc69"', "'x'", "undefined", "1 2", "[1,]", "//"]
        ),
    ]
    if depth < 2:
        kinds += [
            lambda: "[" + ", ".join(json_value(draw, depth + 1) for _ in range(draw.randrange(4))) + "]",
            lambda: "{" + ", ".join(f"{json.dumps(text(draw))}: {json_value(draw, depth + 1)}"
                                    for _ in range(draw.randrange(3))) + "}",
            lambda: nested(draw),
        ]  # fmt: skip
    return draw.choice(kinds)()


def yaml_value(draw: Random) -> str:
    """A value as YAML on one line or more, or as what is nearly YAML."""
    return draw.choice(
        [
            lambda: number(draw),
            lambda: text(draw),
            lambda: draw.choice(YAML_BITS),
            lambda: draw.choice(YAML_BITS),
            lambda: nested(draw),
            lambda: aliases(draw),
            lambda: json_value(draw),
        ]
    )()


def spoilt(raw: bytes, draw: Random) -> bytes:
    """Bytes with a few changed, cut out, doubled or put in."""
    for _ in range(draw.choice([1, 1, 2, 5])):
        at = draw.randrange(len(raw) + 1)
        end = min(len(raw), at + draw.choice([1, 1, 3, 20, 200]))
        piece = raw[at:end]
        new = draw.choice(
            [
                b"",
                piece * 2,
                bytes([draw.randrange(256)]),
                text(draw).encode("utf-8", "surrogatepass"),
                number(draw).encode(),
                draw.choice(
                    [
                        b"{",
                        b"}",
                        b"[",
                        b"]",
                        b'"',
                        b",",
                        b":",
                        b"\n",
                        b"\0",
                        b"\t",
                        b"\xff\xfe",
                        b"\r",
                    ]
                ),
                b"\\ud83d",
            ]
        )
        raw = raw[:at] + new + raw[end:]
    return raw
