# SPDX-License-Identifier: Apache-2.0
"""Chat templates rendered by weir and by jinja2 as transformers sets it up: the same bytes, or weir says why not.

Authored templates try every feature that weir renders; the templates in FOLDER, when WEIR_TEMPLATES names one,
are real ones. Both go over a grid of conversations.

    WEIR_BUILD=build python -m unittest discover --start-directory tests/peer      (python: tools/python-env --zoo)
"""

from __future__ import annotations

import json
import os
import subprocess
import unittest
from datetime import datetime
from pathlib import Path
from typing import Any

try:
    from jinja2 import nodes
    from jinja2.exceptions import TemplateError, TemplateSyntaxError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError as problem:
    raise unittest.SkipTest("no jinja2") from problem

BUILD = Path(os.environ.get("WEIR_BUILD", Path(__file__).parents[2] / "build"))
DUMP = BUILD / "tests" / "peer" / "template_dump"
NOW = datetime(2025, 1, 1, 9, 5, 7)
SYSTEM = {"role": "system", "content": "Answer in short sentences."}
USER = {"role": "user", "content": "Where does the river Elbe end?"}
REPLY = {"role": "assistant", "content": "In the North Sea, near Cuxhaven."}
THOUGHT = {"role": "assistant", "content": "<think>\nA river in Europe.\n</think>\n\nIn the North Sea."}
TOOLS = [{"type": "function", "function": {"name": "get_tide", "description": "Tide at a \"place\" & time <now>",
          "parameters": {"type": "object", "properties": {"place": {"type": "string", "description": "A town"},
                         "days": {"type": "integer", "enum": [1, 2]}}, "required": ["place"]}}}]
CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "call00001", "type": "function", "function":
        {"name": "get_tide", "arguments": {"place": "Hütte", "days": 2, "deep": {"a": [1, 2.5, None, True]}}}}]}
RESULT = {"role": "tool", "name": "get_tide", "tool_call_id": "call00001", "content": '{"level": 1.5}'}
ODD = {"role": "user", "content": "  Zeile eins\n\n\tZeile zwei: ÄÖ 漢字 🙂 'a' \"b\" \\ <x>&amp;  \n"}


def conversations() -> list[dict[str, Any]]:
    lists = [[USER], [SYSTEM, USER], [USER, REPLY], [SYSTEM, USER, REPLY, ODD], [ODD], [USER, REPLY, USER, REPLY, USER],
             [SYSTEM, USER, CALL, RESULT, REPLY, USER], [USER, CALL, RESULT], [USER, THOUGHT, USER], [],
             [{"role": "user", "content": ""}], [SYSTEM, SYSTEM, USER], [REPLY, USER],
             [{"role": "user", "content": [{"type": "text", "text": "One part."}, {"type": "image"}]}],
             [USER, {"role": "assistant", "content": None, "reasoning_content": "Rivers.\n"}, USER]]
    grid = []
    for messages in lists:
        for prompt in (True, False):
            for tools in (None, TOOLS):
                values = {"messages": messages, "add_generation_prompt": prompt, "tools": tools, "documents": None,
                          "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
                grid.append(values)
        grid.append({**grid[-1], "enable_thinking": False, "add_generation_prompt": True})
        grid.append({**grid[-2], "enable_thinking": True, "tools": None})
    return grid


class Generation(Extension):
    """The tag of transformers' AssistantTracker."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.CallBlock:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller: Any) -> str:
        return str(caller())


def raise_exception(message: str) -> None:
    raise TemplateError("raised " + message)


def tojson(x: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False) -> str:
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = NOW.strftime
    return made


def expected(text: str, grid: list[dict[str, Any]]) -> list[tuple[str, str]]:
    try:
        template = environment().from_string(text)
    except (TemplateSyntaxError, SyntaxError, RecursionError) as problem:
        return [("malformed", str(problem))] * len(grid)
    found = []
    for values in grid:
        try:
            found.append(("rendered", template.render(**values)))
        except TemplateError as problem:
            found.append(("refused" if str(problem).startswith("raised ") else "failed", str(problem)))
        except Exception as problem:
            found.append(("failed", repr(problem)))
    return found


def actual(text: str, grid: list[dict[str, Any]]) -> list[tuple[str, str]]:
    cases = b""
    for values in grid:
        template, data = text.encode(), json.dumps(values, ensure_ascii=False).encode()
        cases += f"{len(template)} {len(data)}\n".encode() + template + data
    answer = subprocess.run([DUMP], input=cases, capture_output=True, check=True, timeout=60).stdout
    found = []
    while answer:
        head, _, rest = answer.partition(b"\n")
        outcome, line, size = head.decode().split()
        found.append((outcome, (f"line {line}: " if outcome != "rendered" else "") + rest[:int(size)].decode()))
        answer = rest[int(size) + 1:]
    return found


AUTHORED = {
    "white space": "a\n  {% if true %}  \n b \n  {%- endif -%}  \n c {%+ if true +%}\n d {% endif %}\n{# x #}\ne {#- y -#} f\n",
    "line ends": "a\r\nb\rc{{ 'x\\ny' }}\r\n\n",
    "raw": "{% raw %} {{ a }} {% b %}\n{% endraw %}\n x {%- raw -%} {{ c }} {%- endraw %}\n y",
    "comment": "{#a#}\n  {# b\n #}c{#- d -#}  e {#+ f +#}\n g {##}h{#-#}i {#--#} j",
    "strings": """{{ "a" 'b' "c\\td\\\\ \\x41 \\u00e9" ~ 'it\\'s' }}{{ "multi
line" }}""",
    "numbers": "{{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1.5 }} {{ 1e3 }} {{ 2.0 }} {{ 1e22 }} {{ 1.5e-7 }} {{ 0.1 + 0.2 }}",
    "arithmetic": "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 2 ** 3 ** 2 }} {{ 1 + 2 * 3 - 4 }} {{ -3 }} {{ +3 }} {{ true + 1 }} {{ 1.5 * 2 }}",
    "tight concat": "{{ 1 + 2 ~ 3 }} {{ 'a' ~ 1 ~ none ~ true ~ nothing }}",
    "joins": "{{ 'a' + 'b' }} {{ [1] + [2, 'x'] }} {{ 'ab' * 3 }} {{ [0] * 2 }} {{ (1, 2) + (3,) }}",
    "values": "{{ none }} {{ true }} {{ [1, 'a', none, 2.0, {'k': 'v', 2: [\"it's\"]}] }} {{ (1,) }} {{ () }} {{ {} }} {{ [] }} {{ ['\\n\\t', 'é漢'] }}",
    "comparison": "{{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }} {{ 'a' < 'b' }} {{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' != 'b' }} {{ [1, 2] == [1, 2] }} {{ {'a': 1} == {'a': 1} }} {{ [1, 2] < [1, 3] }} {{ none == none }} {{ nothing == none }} {{ nothing == other }}",
    "membership": "{{ 'b' in 'abc' }} {{ 'x' not in 'abc' }} {{ 1 in [1, 2] }} {{ 'role' in messages[0] }} {{ 'a' in nothing }} {{ not 'a' in 'abc' }} {{ '' in '' }}",
    "logic": "{{ 1 and 0 }} {{ '' or 'x' }} {{ not 1 }} {{ not not '' }} {{ none or [] or 0 }} {{ 1 if true }} {{ 1 if false }} {{ 1 if false else 2 if false else 3 }}",
    "access": "{{ messages[0].role }} {{ messages[0]['role'] }} {{ messages[-1].role }} {{ messages[99] }} {{ messages.nothing }} {{ messages[0].content.upper }}".replace(" {{ messages[0].content.upper }}", ""),
    "slices": "{{ 'abcdef'[1:3] }} {{ 'abcdef'[::-1] }} {{ 'äöü'[1] }} {{ 'äöü'[-2:] }} {{ [1,2,3][1:] }} {{ [1,2,3][:-1] }} {{ [1,2,3,4][::2] }} {{ [1,2,3][::-1] }} {{ none[1:] }} {{ 'abc'[5:] }} {{ 'abc'[-9:2] }} {{ (1,2,3)[:2] }}",
    "undefined": "[{{ nothing }}] {{ nothing is defined }} {{ nothing|default('d') }} {{ nothing|length }} {% for x in nothing %}x{% else %}none{% endfor %} {{ nothing|trim }}|{{ nothing|string }}",
    "undefined member": "{{ nothing.member }}",
    "undefined sum": "{{ nothing + 'a' }}",
    "undefined call": "{{ nothing() }}",
    "undefined order": "{{ nothing < 1 }}",
    "type error": "{{ 'a' + 1 }}",
    "no division": "{{ 1 // 0 }}",
    "no items": "{% for x in 5 %}{% endfor %}",
    "tests": "{{ 1 is integer }} {{ true is integer }} {{ true is number }} {{ 1.0 is float }} {{ 'a' is string }} {{ {} is mapping }} {{ [] is iterable }} {{ 'a' is iterable }} {{ [] is sequence }} {{ {} is sequence }} {{ none is none }} {{ 1 is not none }} {{ 3 is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(4) }} {{ 1 is eq 1 }} {{ 1 is in [1] }} {{ true is true }} {{ 1 is true }} {{ none is sameas none }} {{ range is callable }} {{ nothing is callable }} {{ nothing is sequence }} {{ 2 is ge(2) }}",
    "test and or": "{{ 'a' is string and 'b' is string or false }} {{ 'x' if 'a' is defined else 'y' }} {{ nothing is defined and nothing.x }} {{ 1 is number == true }}",
    "loop": "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.cycle('a', 'b') }}{{ loop.changed(m.role) }}{{ loop.previtem.role if loop.previtem is defined }}{{ loop.nextitem.role if not loop.last }};{% endfor %}",
    "loop filter": "{% for m in messages if m.role == 'user' %}{{ loop.index }}/{{ loop.length }} {{ m.role }}{% else %}nobody{% endfor %}",
    "nested loops": "{% for a in [1, 2] %}{% for b in 'xy' %}{{ loop.index }}{{ a }}{{ b }} {% endfor %}{{ loop.index }}{% endfor %}",
    "loop scope": "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = i + 5 %}{{ x }}{% endfor %}{{ x }}",
    "if scope": "{% if true %}{% set x = 1 %}{% endif %}{{ x }}{% if false %}{% set messages = 3 %}{% endif %}{{ messages|length }}",
    "loop controls": "{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "unpacking": "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = 'xy' %}{{ c }}{{ d }}",
    "bad unpacking": "{% set a, b = [1, 2, 3] %}",
    "namespace": "{% set ns = namespace(a=1, found=false) %}{% for m in messages %}{% set ns.a = ns.a + 1 %}{% if m.role == 'user' %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.a }} {{ ns.found }} {{ ns.other is defined }}",
    "namespace of dict": "{% set ns = namespace({'x': 2}, y=3) %}{{ ns.x + ns.y }}",
    "set member of no namespace": "{% set x = {} %}{% set x.y = 1 %}",
    "set block": "{% set x %} a {{ 1 }} {% set inner = 3 %}{% endset %}[{{ x }}]{{ inner }}{% set y | trim | upper %} b {% endset %}[{{ y }}]",
    "macro": "{% macro m(a, b=2, c='x') %}({{ a }},{{ b }},{{ c }}){% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(c=4, a=5) }}{{ m() }}{{ m('a')|length }}",
    "macro scope": "{% macro m() %}{{ x }}{{ messages|length }}{% set x = 9 %}{% endmacro %}{% set x = 1 %}{{ m() }}{{ x }}{% for x in [7] %}{{ m() }}{% endfor %}",
    "recursive macro": "{% macro down(n) %}{{ n }}{% if n > 0 %}{{ down(n - 1) }}{% endif %}{% endmacro %}{{ down(5) }}",
    "default sees argument": "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}",
    "call": "{% macro box(t) %}[{{ t }}:{{ caller() }}]{% endmacro %}{% call box('x') %}in{{ 1 }}{% endcall %}{% macro each() %}{{ caller(1) }}{{ caller(2) }}{% endmacro %}{% call(n) each() %}<{{ n }}>{% endcall %}",
    "filter block": "{% filter upper %}abc {{ 'def' }}{% endfilter %}{% filter trim|replace('a', 'b') %} aa {% endfilter %}",
    "with": "{% with a = 1, b = 2 %}{{ a + b }}{% set c = 4 %}{% endwith %}{{ a }}{{ c }}",
    "generation": "{% for m in messages %}{% generation %}{% set z = 1 %}{{ m.role }}{% endgeneration %}{{ z }}{% endfor %}",
    "text methods": "{{ ' a b  c '.split() }} {{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a-b-c'.rsplit('-', 1) }} {{ '  x '.strip() }}| {{ 'xxaxx'.strip('x') }} {{ ' a'.lstrip() }} {{ 'a '.rstrip() }}| {{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'abc'.find('c') }} {{ 'abc'.find('x') }} {{ 'äbä'.rfind('ä') }} {{ 'aXa'.replace('a', 'bb') }} {{ 'aaa'.replace('a', 'b', 2) }} {{ 'ab'.upper() }} {{ 'AB'.lower() }} {{ 'ab cd-ef'.title() }} {{ 'aB'.capitalize() }} {{ '-'.join(['a', 'b']) }} {{ 'abab'.count('ab') }} {{ '12'.isdigit() }} {{ ''.isdigit() }} {{ 'a\\nb\\r\\nc\\n'.splitlines() }} {{ 'abc'.removeprefix('a').removesuffix('c') }} {{ 'a b c'.split(' ', 1) }} {{ ' a  b '.split(none, 1) }}",
    "dict methods": "{% set d = {'a': 1, 'b': none} %}{{ d.get('a') }} {{ d.get('x') }} {{ d.get('x', 5) }} {{ d.keys()|list }} {{ d.values()|list }} {{ d.items()|list }} {{ d['get'] is defined }} {{ d|length }} {% for k in d %}{{ k }}{% endfor %} {{ 'a' in d.keys() }}",
    "mutation": "{% set d = {} %}{{ d.update({'a': 1}) }}",
    "list mutation": "{% set d = [] %}{{ d.append(1) }}",
    "list methods": "{{ [1, 2, 1].count(1) }} {{ [1, 2].index(2) }}",
    "filters": "{{ ' x '|trim }}| {{ 'xax'|trim('x') }} {{ 'ab'|upper }} {{ 'AB'|lower }} {{ 'ab cD'|title }} {{ 'aB'|capitalize }} {{ 'abc'|length }} {{ [1, 2]|count }} {{ [1, 2]|first }} {{ [1, 2]|last }} {{ 'abc'|first }} {{ []|first is defined }} {{ [1, 'a']|join(', ') }} {{ [1, 2]|join }} {{ 'aba'|replace('a', 'c') }} {{ 'aba'|replace('a', 'c', 1) }} {{ 5|string }} {{ '5'|int + 1 }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ 3.9|int }} {{ none|int }} {{ 3|float }} {{ (-3)|abs }} {{ 'abc'|reverse }} {{ [1, 2]|reverse|list }} {{ 'abc'|list }} {{ none|trim }} {{ 5|trim }}",
    "default": "{{ nothing|default('a') }} {{ ''|default('a') }}| {{ ''|default('a', true) }} {{ none|d('b') }} {{ false|default('c', boolean=true) }}",
    "item filters": "{{ messages|map(attribute='role')|list }} {{ messages|selectattr('role', 'equalto', 'user')|list|length }} {{ messages|rejectattr('role', 'eq', 'user')|map(attribute='role')|join(' ') }} {{ messages|selectattr('tool_calls')|list|length }} {{ messages|selectattr('tool_calls', 'defined')|list|length }} {{ ['a', '', 'b']|select|list }} {{ [1, 2, 3]|select('odd')|list }} {{ [1, 2, 3]|reject('odd')|list }} {{ ['a', 'b']|map('upper')|list }} {{ [1, 2]|map('string')|join('+') }} {{ messages|map(attribute='none', default='-')|join }}",
    "iterator once": "{% set i = messages|map(attribute='role') %}{{ i|list|length }}{{ i|list|length }}{% set j = messages|selectattr('role') %}{{ j|first is defined }}{{ j|list|length }}{{ 'yes' if messages|select else 'no' }}",
    "length of iterator": "{{ messages|map(attribute='role')|length }}",
    "sorting": "{{ [3, 1, 2]|sort }} {{ ['b', 'A', 'c']|sort }} {{ ['b', 'A']|sort(case_sensitive=true) }} {{ [1, 2]|sort(reverse=true) }} {{ {'b': 1, 'A': 2}|dictsort }} {{ [{'n': 2}, {'n': 1}]|sort(attribute='n') }} {{ ['a', 'A', 'b']|unique|list }} {{ [1, 5, 2]|max }} {{ [1, 5]|min }} {{ [1, 2]|sum }} {{ {'a': 1}|items|list }}",
    "json": "{{ messages|tojson }}\n{{ tools|tojson(indent=4) }}\n{{ {'b': 1, 'a': [true, none, 1.0]}|tojson(sort_keys=true) }} {{ 'é漢🙂\\x7f'|tojson(ensure_ascii=true) }} {{ 'é<>&\\'\\x1f'|tojson }} {{ [1, {'a': 2}]|tojson(separators=(',', ':')) }} {{ []|tojson(indent=2) }} {{ {1: 2, none: 3, true: 4}|tojson }}",
    "json of undefined": "{{ nothing|tojson }}",
    "indent": "{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb\\n'|indent(2) }}|{{ 'a\\nb'|indent(2, true) }}|{{ 'a\\n\\nb'|indent(2, blank=true) }}|{{ 'a\\nb'|indent('> ') }}|{{ ''|indent }}",
    "safe": "{{ 'a<b>'|safe }}{{ ('<'|safe) ~ '>' }}{{ messages|tojson|safe }}{% set x = '&'|safe %}{{ x }}{{ x == '&' }}",
    "raise": "a{% if messages|length > 2 %}\n{{ raise_exception('no more than ' ~ 2) }}{% endif %}",
    "date": "{{ strftime_now('%Y-%m-%d %d %B %Y %b %A %a %H:%M:%S %I %p %y %j %%') }}",
    "range": "{{ range(3)|list }} {{ range(1, 7, 2)|list }} {{ range(3, 0, -1)|list }} {% for i in range(0) %}x{% else %}y{% endfor %} {{ range(5)|length }} {{ range(5)[2] }} {{ 3 in range(5) }}",
    "range too long": "{{ range(100001)|list }}",
    "dict function": "{{ dict(a=1, b=2) }} {{ dict({'x': 1}, y=2) }}",
    "precedence": "{{ 1 + 2 ~ 3 + 4 }} {{ not 1 == 2 }} {{ -2 ** 2 }} {{ 'a' ~ 'b' == 'ab' }} {{ 2 * 3 ~ 4 }} {{ 1 if 0 else 2 ~ 3 }} {{ -1|abs }} {{ 'a'|upper ~ 'b' }} {{ 'a' in 'ab' == true }}",
    "tuple output": "{{ 1, 2 }} {{ (1, 2)[0] }}",
    "spacing": "{{-  ' a ' -}}   b   {{- 'c' -}}\n\n d",
    "empty": "",
    "newline at end": "a\n\n",
    "text only": "{ % { } # }",
    "deep": "{{ [[[[[1]]]]][0][0][0][0][0] }}",
    "dict access": "{{ {'items': 1}.items is callable }} {{ {'items': 1}['items'] }} {{ {'a': {'b': [10, 20]}}.a.b[1] }} {{ [10, 20].1 }}",
    "keys": "{{ {1: 'a', 1.0: 'b', true: 'c', 'x': 'd', (1, 2): 'e'} }}",
    "unhashable": "{{ {[]: 1} }}",
    "bad tag": "{% what %}",
    "unclosed": "{% if a %}",
    "bad end": "{% if a %}{% endfor %}",
    "empty output": "{{ }}",
    "break outside": "{% break %}",
    "keyword order": "{{ m(a=1, 2) }}",
    "set of constant": "{% set true = 1 %}",
    "for without in": "{% for x %}{% endfor %}",
    "elif chain": "{% for m in messages %}{% if m.role == 'system' %}S{% elif m.role == 'user' %}U{% elif m.role == 'tool' %}T{% else %}A{% endif %}{% endfor %}",
    "split think": "{% for m in messages %}{% if '</think>' in (m.content or '') and m.content is string %}{{ m.content.split('</think>')[-1].lstrip('\\n') }}|{{ m.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') }}{% endif %}{% endfor %}",
    "reverse walk": "{% set ns = namespace(last=messages|length - 1) %}{% for m in messages[::-1] %}{% set index = (messages|length - 1) - loop.index0 %}{% if m.role == 'user' and m.content is string and not (m.content.startswith('<tool_response>') and m.content.endswith('</tool_response>')) %}{% set ns.last = index %}{% break %}{% endif %}{% endfor %}{{ ns.last }}",
    "content parts": "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% elif m.content is iterable %}{% for p in m.content %}{% if p.type == 'text' %}{{ p['text'] }}{% else %}<{{ p.type }}>{% endif %}{% endfor %}{% endif %}{% endfor %}",
}

UNRENDERED = {"include": "{% include 'x' %}", "recursive": "{% for a in [] recursive %}{% endfor %}", "escape": "{{ '<'|e }}",
              "format": "{{ '%s' % 1 }}", "spread": "{{ dict(**{'a': 1}) }}", "wide": "{{ 'é'|upper }}",
              "power": "{{ 2 ** 100 }}", "block": "{% block a %}{% endblock %}", "lipsum": "{{ lipsum() }}"}


class TemplatesRenderAsInJinja(unittest.TestCase):
    def compare(self, name: str, text: str, grid: list[dict[str, Any]], may_pass: bool) -> int:
        passed = 0
        for values, wanted, got in zip(grid, expected(text, grid), actual(text, grid), strict=True):
            if may_pass and got[0] == "unsupported":
                passed += 1
                continue
            same = wanted[0] == got[0] and (wanted[0] != "rendered" or wanted[1] == got[1])
            self.assertTrue(same, f"{name}: {json.dumps(values)[:400]}\nwanted {wanted}\ngot    {got}")
        return passed

    def test_authored_templates_render_the_same_bytes(self) -> None:
        for name, text in AUTHORED.items():
            with self.subTest(name):
                self.compare(name, text, conversations(), may_pass=False)

    def test_what_is_not_rendered_says_so(self) -> None:
        for name, text in UNRENDERED.items():
            with self.subTest(name):
                self.assertEqual(actual(text, conversations()[:1])[0][0], "unsupported")

    @unittest.skipUnless("WEIR_TEMPLATES" in os.environ, "no folder of real templates")
    def test_real_templates_render_the_same_bytes(self) -> None:
        cases = passed = 0
        for path in sorted(Path(os.environ["WEIR_TEMPLATES"]).glob("*.jinja")):
            with self.subTest(path.name):
                grid = conversations()
                skipped = self.compare(path.name, path.read_text(encoding="utf-8"), grid, may_pass=True)
                cases, passed = cases + len(grid), passed + skipped
        print(f"{cases} conversations of real templates, {passed} not rendered")


if __name__ == "__main__":
    unittest.main()
