#!/usr/bin/env python3
"""Prints the table of python_json_errors.jsonl: texts that CPython's json refuses, with position and message.

Mutations of a few seeds, drawn with a fixed seed; run with CPython 3.11, whose messages the service keeps.
"""
import json, random

SEEDS = [
    '{"model_type":"cost_forecasting","features":{"year":2024,"kind":"é\\u00e9\\n"}}', '[1,2.5e-3,-0,true,false,null]',
    '{"a":[{"b":[]},{}]}', '"\\ud83d\\ude00 \\" \\\\ x"', '{"é":"日本","b":-1.0E+5}', '  [ ]  ', '{ "a" : 1 , "b" : 2 }',
]
FIXED = ['', ' ', '{', '[', '{"', '"', '"abc', '"\\', '"\\u', '"\\u12', '"\\u12é"', '"\\x"', '"a\nb"', '[1,]', '[,]', '{"a":1,}', '{,}',
         '{"a"}', '{"a" 1}', '{"a":}', "{'a':1}", '{1:2}', '1.', '01', '-', '+1', '.5', '1e', '1e+', '-Inf', 'nul', 'tru', 'nan', 'None', 'True',
         '// x', '/* x */{}', '{}x', '{} {}', '[1 2]', '[1}', '{"a":1]', '{"a":1 "b":2}', '\u00a0{}', '{\u2003"a":1}', '"\\ud83d\\u12"', '"\\ud83d\\uzzzz"',
         '\x00', '{"a":"\t"}', '"\x7f" x', '[[[[', '{"a":{"a":{"a":', '{"日本":1,,}', '["日本" x]']
INSERT = list('{}[]:,"\\ux09.eE-+ \n\té') + ['\\u', 'null', '\\ud83d']


def mutate(rng, text):
    chars = list(text)
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randrange(len(chars) + 1)
        match rng.randrange(4):
            case 0: chars[at:at] = [rng.choice(INSERT)]
            case 1: del chars[at:at + rng.choice([1, 1, 4])]
            case 2: chars[at:at + 1] = [rng.choice(INSERT)]
            case 3: chars = chars[:at]
    return ''.join(chars)


def main():
    rng = random.Random(7)
    texts = dict.fromkeys(FIXED + [mutate(rng, rng.choice(SEEDS)) for _ in range(900)])
    for text in texts:
        try: json.loads(text)
        except json.JSONDecodeError as error: print(json.dumps([text, error.pos, error.msg], ensure_ascii=False))


if __name__ == '__main__':
    main()
