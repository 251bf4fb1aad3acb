/* SPDX-License-Identifier: Apache-2.0 */
/* Two tables: templates that must be accused, and honest ones that must not. All are written here.
 */
#include "../testing.h"

#include <stdlib.h>

#include "base/findings.h"
#include "template/hazard.h"

static weir_verdict verdict_of(const char *text, size_t len, char *first, size_t size) {
    weir_findings *findings = NULL;
    assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
    assert_int_equal(template_scan(text, len, "t.jinja", "", findings, NULL), WEIR_OK);
    const weir_verdict verdict = findings_verdict(findings, "t.jinja", WEIR_VERDICT_CLEAN);
    first[0] = '\0';
    for (size_t i = 0; i < weir_findings_count(findings); i++) {
        const weir_finding *it = weir_findings_get(findings, i);
        const size_t used = strlen(first);
        snprintf(first + used, size - used, "%s at %s: %s; ", it->id, it->at, it->message);
        assert_true(strncmp(it->at, "line ", 5) == 0);
    }
    weir_findings_free(findings);
    return verdict;
}

static void check(const char *const *rows, size_t count, weir_verdict expected) {
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        char first[4096];
        const weir_verdict verdict = verdict_of(rows[i], strlen(rows[i]), first, sizeof first);
        if (verdict != expected) {
            print_message("%s, not %s: %s\n  %s\n", weir_verdict_name(verdict),
                          weir_verdict_name(expected), rows[i], first);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}
#define CHECK(rows, expected) check(rows, sizeof(rows) / sizeof *(rows), expected)

static const char *const malicious[] = {
    /* Attributes in the open. */
    "{{ x.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ x [ \"__mro__\" ] }}",
    "{{ x|attr('__class__') }}",
    "{{ x | attr ( \"__globals__\" ) }}",
    "{{ messages|map(attribute='__class__')|list }}",
    "{{ messages|map('attr', '__init__')|list }}",
    "{{ messages|map(attribute='content.__class__')|list }}",
    "{{ messages|groupby('__class__') }}",
    "{% for c in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "{% set a = x.__init__ %}",
    "{% if x.__globals__ %}{% endif %}",
    "{{ x.get('__builtins__') }}",
    "{{ x.pop('__globals__') }}",
    "{{ __builtins__ }}",
    "{{ __import__('os') }}",
    "{{ x.mro() }}",
    "{{ f.func_globals }}",
    "{{ g.gi_frame.f_back.f_globals }}",
    "{{ g['gi_frame'] }}",
    "{{ self._TemplateReference__context }}",
    "{% filter attr('__class__') %}x{% endfilter %}",
    /* Escapes. */
    "{{ x['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ x['\\u005f\\u005fclass\\u005f\\u005f'] }}",
    "{{ x['\\U0000005f_class__'] }}",
    "{{ x['\\137\\137class\\137\\137'] }}",
    "{{ x['\\N{LOW LINE}\\N{low line}class__'] }}",
    "{{ x['__cl\\x61ss__'] }}",
    "{{ x|attr('\\x5f\\x5fcl\\x61ss\\x5f\\x5f') }}",
    "{{ x|attr('&#95;&#95;class&#x5f;&#95;'|striptags) }}",
    "{{ x['__cla\\\nss__'] }}",
    /* Pieces. */
    "{{ x['__cla' ~ 'ss__'] }}",
    "{{ x['__cla' + 'ss__'] }}",
    "{{ x['__cla' 'ss__'] }}",
    "{{ x['_' ~ '_' ~ 'globals' ~ '_' * 2] }}",
    "{{ x[['__cla', 'ss__']|join] }}",
    "{{ x[('__', 'class', '__')|join('')] }}",
    "{{ x[''.join(['__cla', 'ss__'])] }}",
    "{{ x[['ss__', '__cla']|reverse|join] }}",
    "{{ x['__ssalc__'[::-1]] }}",
    "{{ x['__ssalc__'|reverse] }}",
    "{{ x['__CLASS__'|lower] }}",
    "{{ x['__CLASS__'.lower()] }}",
    "{{ x['--class--'|replace('-', '_')] }}",
    "{{ x['__claXss__'.replace('X', '')] }}",
    "{{ x['__c-l-a-s-s__'.split('-')|join] }}",
    "{{ x['__cla<b>ss__'|striptags] }}",
    "{{ x['%s%s' % ('__cla', 'ss__')] }}",
    "{{ x['%sclass%s'|format('__', '__')] }}",
    "{{ x['{}class{}'.format('__', '__')] }}",
    "{{ x['{0}class{0}'.format('__', '__')] }}",
    "{{ x['%c%cclass%c%c' % (95, 95, 95, 95)] }}",
    "{{ x[chr(95) ~ chr(95) ~ 'class' ~ chr(95) ~ chr(95)] }}",
    "{{ x['a_b_cclcacscsc_d_'[1::2] ~ '__globals__'] }}",
    "{{ x['xx__class__yy'[2:-2]] }}",
    "{{ x[dict(__class__=1)|list|first] }}",
    "{{ x[dict(__cla=1, ss__=2)|join] }}",
    "{% set a = '__cla' %}{% set b = 'ss__' %}{{ x[a ~ b] }}",
    "{% set a, b = '__cla', 'ss__' %}{{ x[a ~ b] }}",
    "{% set d = {'p': '__cla', 'q': 'ss__'} %}{{ x[d.p ~ d.q] }}",
    "{% set ns = namespace(p='__cla') %}{{ x[ns.p ~ 'ss__'] }}",
    "{% with a = '__cla' %}{{ x[a ~ 'ss__'] }}{% endwith %}",
    "{% set k %}__class__{% endset %}{{ x[k] }}",
    "{% set k %}\n {{ '__class__' }} {% endset %}{{ x[k] }}",
    "{% macro m() %}__globals__{% endmacro %}{{ x|attr(m()) }}",
    "{% set k = '__class__' %}{{ x[k] }}",
    "{% set u = '%c' % 95 %}{{ x[u * 2 ~ 'globals' ~ u * 2] }}",
    "{% set a %}__cla{% endset %}{% set b %}ss__{% endset %}{{ x[a ~ b] }}",
    "{% for k in ['__class__', '__mro__'] %}{{ x[k] }}{% endfor %}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ 'the {0.__class__.__init__.__globals__} of it'.format(x) }}",
    "{{ '{x.__class__}'|format(x=x) }}",
    "{{ x|attr('format')(x) }}",
    "{{ x|attr((lipsum|string|list)[18] ~ 'y') }}",
    "{{ x|attr(['_'*2, y, '_'*2]|join) }}",
    /* Calls, modules, objects of the engine and of web applications. */
    "{{ os.popen('id').read() }}",
    "{{ os['system']('id') }}",
    "{{ subprocess.check_output('id') }}",
    "{{ x.popen('id') }}",
    "{{ x['popen']('id') }}",
    "{{ x['eval']('1') }}",
    "{{ x|attr('system') }}",
    "{{ eval('1+1') }}",
    "{{ exec('import os') }}",
    "{{ open('/etc/passwd').read() }}",
    "{{ getattr(x, y) }}",
    "{{ x.b64decode('aWQ=') }}",
    "{{ 'aWQ='|b64decode }}",
    "{{ bytes.fromhex('5f5f') }}",
    "{{ 'aWQ='.decode('base64') }}",
    "{{ '__pynff__'.encode('rot13') }}",
    "{{ lipsum.x }}",
    "{{ cycler['x'] }}",
    "{{ joiner|attr('x') }}",
    "{{ namespace.x }}",
    "{{ request.application }}",
    "{{ request['args'].x }}",
    "{{ request|attr('cookies') }}",
    "{{ config.from_pyfile('/etc/passwd') }}",
    "{{ self|attr('x') }}",
    "{{ request.environ }}",
    "{% include '/etc/passwd' %}",
    "{%- import 'x' as y -%}",
    "{% from 'x' import y %}",
    "{% extends 'base' %}",
    /* Hidden behind honest text, line breaks and white space. */
    "{% for m in messages %}{{ m.content }}{% endfor %}\n\n{{\n x\n .\n __class__ }}",
    "{% raw %}{{ a }}{% endraw %}{{ x.__class__ }}",
    "{# harmless #}{%- if false -%}{{ x.__class__ }}{%- endif -%}",
};

static void attacks_are_malicious(void **state) {
    (void)state;
    CHECK(malicious, WEIR_VERDICT_MALICIOUS);
}

static const char *const suspicious[] = {
    "{% for i in range(1000000) %}x{% endfor %}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{% for i in range(0, 0xFFFFFFF, 2) %}x{% endfor %}",
    "{% for i in range(1000 * 1000 * 10) %}x{% endfor %}",
    "{% set n = 5000000 %}{% for i in range(n) %}x{% endfor %}",
    "{% for i in range(2000) %}{% for j in range(2000) %}x{% endfor %}{% endfor %}",
    "{{ range(99999999)|list|length }}",
    "{{ 'x' * 100000000 }}",
    "{{ 'x'|center(100000000) }}",
    "{{ lipsum(5) }}",
    "{{ x|attr(y) }}",
    "{{ x.__odd__ }}",
    "{{ config }}",
    "{% debug %}",
    "{{ unclosed",
    "{% if x",
    "{{ 'open }}",
    "{{ chr(72) ~ chr(101) ~ chr(108) ~ chr(108) ~ chr(111) }}",
};

static void oddities_are_suspicious(void **state) {
    (void)state;
    CHECK(suspicious, WEIR_VERDICT_SUSPICIOUS);
}

static const char *const honest[] = {
    "",
    "No statement at all, but __class__ and os.system('x') and {x.__mro__}.",
    "{# notes: __class__, subprocess, {% include %} #}ok",
    "{% raw %}{{ x.__class__ }}{% endraw %}",
    "{{ '__class__' }}",
    "{{ 'def __init__(self): pass' }}",
    "{% set system = 'Never call os.system() or __import__(\"os\"). Use __init__ methods.' %}{{ "
    "system }}",
    "{% set file = 'src/pkg/__init__.py' %}{{ file }}",
    "{% if '__class__' in message.content %}{{ raise_exception('no __class__') }}{% endif %}",
    "{{ content.replace('__class__', '') }}",
    "{{ ('Use __init__ and foo. ' ~ x).replace('foo', 'bar') }}",
    "{{ 'Write __init__ first.'.strip() | lower }}",
    "{% set image = '__image__' %}{{ content | replace('__file__', image) }}",
    "{% set ns = namespace(found=false, system='', count=0) %}{% set ns.found = true %}{{ "
    "ns.system }}",
    "{% for m in messages %}{{ loop.index0 }}{{ loop.first }}{{ loop.previtem.role }}{% endfor %}",
    "{{ messages[0]['content'].split('</think>')[-1].lstrip('\\n').strip() }}",
    "{{ messages[::-1] }}{{ messages[1:] }}{{ messages | selectattr('role', 'equalto', 'user') | "
    "list }}",
    "{{ tools | map(attribute='name') | join(', ') }}{{ tools | tojson(indent=4) }}",
    "{% for k, v in args.items() %}{{ k }}={{ v | string }}{% endfor %}{% for k, v in a|items %}{% "
    "endfor %}",
    "{% generation %}{{ m.content }}{% endgeneration %}",
    "{% macro system(text) %}<s>{{ text }}</s>{% endmacro %}{{ system('x') }}",
    "{% macro render(params, open, config) %}{{ open(params) }}{{ config.name }}{% endmacro %}",
    "{% for config in configs %}{{ config.from_object }}{{ config }}{% endfor %}",
    "{% if message.system %}{{ message['system'] }}{{ system }}{% endif %}",
    "{{ strftime_now('%d %b %Y') }}{{ '%s: %d' | format(a, 3) }}{{ '{}'.format(a) }}",
    "{% set sep = joiner(', ') %}{{ sep() }}{% set c = cycler('a', 'b') %}{{ c.next() }}",
    "{{ dict(role='user', content=x) | tojson }}{{ {'a': {'b': [1, 2]}}['a'] }}",
    "{{ message | attr('content') }}{{ message.open }}{{ message.eval }}",
    "{% for i in range(messages | length) %}{% for j in range(3) %}{% endfor %}{% endfor %}",
    "{% for i in range(10) %}{% endfor %}{% for i in range(messages|length - 1, -1, -1) %}{% "
    "endfor %}",
    "{{ '-' * 80 }}{{ '=' * 20 }}{{ x | indent(4) }}{{ 2 ** 31 }}",
    "{{ config.max_length }}{{ self.title() }}{% block title %}x{% endblock %}",
    "{{ '_' ~ name ~ '_' }}{{ '__' ~ name ~ '__' }}{{ a['__tool'] }}",
    "{{ message['tool__class__x'] }}",
    "{% if x is defined and x is not none and not (y is string) %}{% elif z in ['a', 'b'] %}{% "
    "endif %}",
    "{%- call(x) render(y) -%}{{ x }}{%- endcall -%}{% do items.append(1) %}{% break %}{% continue "
    "%}",
};

static void honest_idioms_are_clean(void **state) {
    (void)state;
    CHECK(honest, WEIR_VERDICT_CLEAN);
}

/* In the manner of the long templates of well-known families, with words of our own. */
static const char *const honest_families[] = {
    /* A tool template with XML-like marks and a thinking part. */
    "{%- if tools %}\n"
    "    {{- '<|start|>system\\n' }}\n"
    "    {%- if messages[0].role == 'system' %}\n"
    "        {{- messages[0].content + '\\n\\n' }}\n"
    "    {%- endif %}\n"
    "    {{- \"# Tools\\n\\nSignatures stand between <tools></tools>:\\n<tools>\" }}\n"
    "    {%- for tool in tools %}\n"
    "        {{- \"\\n\" }}{{- tool | tojson }}\n"
    "    {%- endfor %}\n"
    "    {{- \"\\n</tools>\\nAnswer as <tool_call>\\n{\\\"name\\\": <name>, \\\"arguments\\\": "
    "<json>}\\n</tool_call>\" }}\n"
    "{%- endif %}\n"
    "{%- set ns = namespace(multi_step=true, last_index=messages|length - 1) %}\n"
    "{%- for message in messages[::-1] %}\n"
    "    {%- set index = (messages|length - 1) - loop.index0 %}\n"
    "    {%- if ns.multi_step and message.role == 'user' and message.content is string and not"
    "(message.content.startswith('<tool_response>') and "
    "message.content.endswith('</tool_response>')) %}\n"
    "        {%- set ns.multi_step = false %}{%- set ns.last_index = index %}\n"
    "    {%- endif %}\n"
    "{%- endfor %}\n"
    "{%- for message in messages %}\n"
    "    {%- set content = message.content if message.content is string else '' %}\n"
    "    {%- if message.role == 'assistant' %}\n"
    "        {%- set reasoning = '' %}\n"
    "        {%- if '</think>' in content %}\n"
    "            {%- set reasoning = "
    "content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}\n"
    "            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}\n"
    "        {%- endif %}\n"
    "        {%- for call in message.tool_calls or [] %}\n"
    "            {%- if call.function %}{%- set call = call.function %}{%- endif %}\n"
    "            {{- '\\n<tool_call>\\n{\"name\": \"' ~ call.name ~ '\", \"arguments\": ' }}\n"
    "            {%- if call.arguments is string %}{{- call.arguments }}{%- else %}{{- "
    "call.arguments | tojson }}{%- endif %}\n"
    "        {%- endfor %}\n"
    "    {%- endif %}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}{{- '<|start|>assistant\\n' }}\n"
    "    {%- if enable_thinking is defined and enable_thinking is false %}{{- "
    "'<think>\\n\\n</think>\\n\\n' }}{%- endif %}\n"
    "{%- endif %}",
    /* Roles that must alternate, dates, tools in the first user turn. */
    "{{- bos_token }}\n"
    "{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}\n"
    "{%- if not date_string is defined %}\n"
    "  {%- if strftime_now is defined %}{%- set date_string = strftime_now(\"%d %b %Y\") %}{%- "
    "else %}{%- set date_string = \"26 Jul 2024\" %}{%- endif %}\n"
    "{%- endif %}\n"
    "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content']|trim "
    "%}{%- set messages = messages[1:] %}{%- else %}{%- set system_message = \"\" %}{%- endif %}\n"
    "{{- \"<|head|>system<|/head|>\\n\\nEnvironment: python\\n\" }}{{- \"Tools: \" + builtin_tools "
    "| reject('equalto', 'code_interpreter') | join(\", \") + \"\\n\\n\" }}\n"
    "{%- for message in messages %}\n"
    "  {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles "
    "must alternate user/assistant') }}{%- endif %}\n"
    "  {%- if 'tool_calls' in message and message.tool_calls|length != 1 %}{{- "
    "raise_exception(\"One call at a time.\") }}{%- endif %}\n"
    "  {%- for arg_name, arg_val in message.tool_calls[0].function.arguments | items %}{{- "
    "arg_name + '=\"' + arg_val + '\"' }}{%- if not loop.last %}{{- \", \" }}{%- endif %}{%- "
    "endfor %}\n"
    "  {{- '<|head|>' + message['role'] + '<|/head|>\\n\\n' + message['content'] | trim + "
    "'<|end|>' }}\n"
    "{%- endfor %}",
    /* Macros that print a JSON schema as a type language. */
    "{%- macro render_type(spec, required, is_nullable=false) -%}\n"
    "  {%- if spec.type == 'array' -%}\n"
    "    {%- if spec['items']['type'] == 'string' -%}{{- 'string[]' }}{%- else -%}{%- set inner = "
    "render_type(spec['items'], required) -%}{{- inner if inner|length < 50 else 'any' }}[]{%- "
    "endif -%}\n"
    "  {%- elif spec.type is defined and spec.type is iterable and spec.type is not string and "
    "spec.type is not mapping and spec.type[0] is defined -%}{{- spec.type | join(' | ') }}\n"
    "  {%- elif spec.enum -%}{{- '\"' + spec.enum|join('\" | \"') + '\"' -}}\n"
    "  {%- elif spec.default is defined -%}// default: {{ spec.default|tojson }}\n"
    "  {%- endif -%}\n"
    "{%- endmacro -%}\n"
    "{%- macro render_tools(namespace_name, tools) -%}\n"
    "  {{- '## ' + namespace_name + '\\n\\n' }}{{- 'namespace ' + namespace_name + ' {\\n\\n' }}\n"
    "  {%- for tool in tools %}{%- set tool = tool.function %}{{- '// ' + tool.description + '\\n' "
    "}}{{- 'type ' + tool.name + ' = (' }}\n"
    "    {%- for name, spec in tool.parameters.properties.items() %}{{- name }}{%- if name not in "
    "(tool.parameters.required or []) %}{{- '?' }}{%- endif %}{{- ': ' }}{{ render_type(spec, "
    "tool.parameters.required or []) }}{%- endfor %}\n"
    "  {%- endfor %}\n"
    "{%- endmacro -%}\n"
    "{%- set model_identity = 'You are a model.' -%}{{- 'Reasoning: ' + (reasoning_effort or "
    "'medium') + '\\n\\n' }}\n"
    "{%- if tools -%}{{- render_tools('functions', tools) }}{%- endif -%}\n",
    /* Full-width bars, a namespace for state, an assistant prefix. */
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif "
    "%}"
    "{% set ns = namespace(is_first=false, is_tool=false, system_prompt='', is_first_sp=true) %}"
    "{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.is_first_sp %}{% "
    "set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first_sp = false "
    "%}{%- else %}{% set ns.system_prompt = ns.system_prompt + '\\n\\n' + message['content'] %}{%- "
    "endif %}{%- endif %}{%- endfor %}"
    "{{ bos_token }}{{ ns.system_prompt }}"
    "{%- for message in messages %}{%- if message['role'] == 'user' %}{{ "
    "'<\xEF\xBD\x9CUser\xEF\xBD\x9C>' + message['content'] }}{%- endif %}"
    "{%- if message['role'] == 'assistant' and message['content'] is none %}{%- for tool in "
    "message['tool_calls'] %}{{ '<\xEF\xBD\x9Ctool\xE2\x96\x81"
    "call\xE2\x96\x81"
    "begin\xEF\xBD\x9C>' + tool['type'] + '<sep>' + tool['function']['name'] + '\\n' + '```json' + "
    "'\\n' + tool['function']['arguments'] + '\\n' + '```' }}{%- endfor %}{%- endif %}{%- endfor %}"
    "{% if add_generation_prompt %}{{ '<\xEF\xBD\x9C"
    "Assistant\xEF\xBD\x9C><think>\\n' }}{% endif %}",
    /* Parts of several kinds in one message. */
    "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- if messages[0]['content'] is "
    "string -%}{%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}{%- else -%}{%- set "
    "first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}{%- endif -%}{%- set "
    "loop_messages = messages[1:] -%}{%- endif -%}"
    "{%- for message in loop_messages -%}{%- if (message['role'] == 'assistant') -%}{%- set role = "
    "'model' -%}{%- else -%}{%- set role = message['role'] -%}{%- endif -%}"
    "{%- for item in message['content'] -%}{%- if item['type'] == 'image' -%}{{ '<image>' }}{%- "
    "elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}"
    "{%- generation -%}{{ message['content'] }}{%- endgeneration -%}{%- endfor -%}",
};

static void honest_templates_of_many_families_are_clean(void **state) {
    (void)state;
    CHECK(honest_families, WEIR_VERDICT_CLEAN);
}

static void size_and_padding_are_suspicious(void **state) {
    (void)state;
    enum { BYTES = 60000 };
    char first[4096];
    char *text = malloc(BYTES);
    assert_non_null(text);

    memset(text, 'A', BYTES);
    assert_int_equal(verdict_of(text, 5000, first, sizeof first), WEIR_VERDICT_SUSPICIOUS);
    for (size_t i = 0; i < BYTES; i++) {
        text[i] = "words and words "[i % 16];
    }
    assert_int_equal(verdict_of(text, BYTES, first, sizeof first), WEIR_VERDICT_SUSPICIOUS);
    assert_int_equal(verdict_of(text, 40000, first, sizeof first), WEIR_VERDICT_CLEAN);
    snprintf(text, BYTES, "{%% set x = '%0300d' %%}", 7);
    assert_int_equal(verdict_of(text, strlen(text), first, sizeof first), WEIR_VERDICT_SUSPICIOUS);

    free(text);
}

static void an_attack_past_the_read_part_of_a_huge_template_is_not_called_clean(void **state) {
    (void)state;
    const size_t bytes = (1u << 20) + 100;
    char first[4096];
    char *text = malloc(bytes);
    assert_non_null(text);
    for (size_t i = 0; i < bytes; i++) {
        text[i] = "words and words "[i % 16];
    }

    assert_int_equal(verdict_of(text, bytes, first, sizeof first), WEIR_VERDICT_SUSPICIOUS);

    free(text);
}

static void many_small_findings_do_not_hide_a_grave_one(void **state) {
    (void)state;
    char first[16384];
    char text[4096] = "";
    for (size_t i = 0; i < 100; i++) {
        strcat(text, "{{ x|attr(y) }}");
    }
    strcat(text, "{{ x.__class__ }}");
    assert_int_equal(verdict_of(text, strlen(text), first, sizeof first), WEIR_VERDICT_MALICIOUS);
}

/* Brackets in brackets, filters on filters: a quarter of a megabyte of each must not take its
 * square. */
static void work_grows_with_the_length_alone(void **state) {
    (void)state;
    static const char *const units[] = {
        "x|attr(",        "range(",         "'a'[", "|replace('a','aa')", "{% set a %}",
        "'%s{}'|format(", "'<'|striptags~", "a~",   "'__class__'~",       "{%set a=a~a~'b'%}"};
    static char text[1 << 18];
    char first[16384];
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const size_t unit = strlen(units[i]);
        for (size_t k = 0; k < sizeof text; k++) {
            text[k] = k < 5 ? "{{'a'"[k] : units[i][(k - 5) % unit];
        }
        const size_t begin = units[i][0] == '{' ? 5 : 0;
        (void)verdict_of(text + begin, sizeof text - begin, first, sizeof first);
    }
}

static void the_place_holds_what_the_caller_says_and_the_line(void **state) {
    (void)state;
    static const char text[] = "a\nb\n{{ x.__class__ }}";
    weir_findings *findings = NULL;
    assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);

    assert_int_equal(
        template_scan(text, sizeof text - 1, "m.gguf", "tokenizer.chat_template", findings, NULL),
        WEIR_OK);

    assert_int_equal(weir_findings_count(findings), 1);
    assert_string_equal(weir_findings_get(findings, 0)->at, "tokenizer.chat_template line 3");
    assert_string_equal(weir_findings_get(findings, 0)->file, "m.gguf");
    weir_findings_free(findings);
}

static void every_prefix_of_every_attack_ends(void **state) {
    (void)state;
    char first[8192];
    for (size_t i = 0; i < sizeof malicious / sizeof *malicious; i++) {
        for (size_t len = 0; len < strlen(malicious[i]); len++) {
            (void)verdict_of(malicious[i], len, first, sizeof first);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attacks_are_malicious),
        cmocka_unit_test(oddities_are_suspicious),
        cmocka_unit_test(honest_idioms_are_clean),
        cmocka_unit_test(honest_templates_of_many_families_are_clean),
        cmocka_unit_test(size_and_padding_are_suspicious),
        cmocka_unit_test(an_attack_past_the_read_part_of_a_huge_template_is_not_called_clean),
        cmocka_unit_test(many_small_findings_do_not_hide_a_grave_one),
        cmocka_unit_test(work_grows_with_the_length_alone),
        cmocka_unit_test(the_place_holds_what_the_caller_says_and_the_line),
        cmocka_unit_test(every_prefix_of_every_attack_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
