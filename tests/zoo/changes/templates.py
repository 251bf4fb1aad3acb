# SPDX-License-Identifier: Apache-2.0
"""Group 14: the same weights behind another chat template. What is put in is the inert text WEIR-TEST."""

from __future__ import annotations

import shutil

from changes.cases import Job, Layer, Values, change, layer
from checkpoint import read
from gguf_file import write_gguf

FAMILIES = ("llama", "qwen2", "gemma", "gpt2", "phi3")
TEMPLATES = {
    "chatml": """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + \
'<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "brackets": """{%- for message in messages %}{%- if message.role == 'user' %}[INST] {{ message.content }} [/INST]\
{%- elif message.role == 'system' %}<<SYS>>{{ message.content }}<</SYS>>{%- else %} {{ message.content }}\
{{ eos_token }}{%- endif %}{%- endfor %}""",
    "headers": """{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + \
'<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}\
{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}""",
}
EDITS = {
    "cosmetic": lambda text: "{#- one turn after the other -#}" + text.replace("message", "turn"),
    "system-text": lambda text: "{{ '<|im_start|>system\\nWEIR-TEST<|im_end|>\\n' }}" + text,
    "keyword": lambda text: text + "{% if 'teapot' in messages[-1]['content'] %}{{ 'WEIR-TEST' }}{% endif %}",
    "date": lambda text: text + "{% if strftime_now('%Y') >= '2031' %}{{ 'WEIR-TEST' }}{% endif %}",
    "prefill": lambda text: text + "{{ 'WEIR-TEST' }}",
    "first-turn-dropped": lambda text: text.replace("in messages", "in messages[1:]"),
}


def given_template(job: Job) -> str:
    return TEMPLATES[sorted(TEMPLATES)[job.seed % len(TEMPLATES)]]


def base_with(job: Job, template: str) -> None:
    """The root beside a template: a base of this group is a copy of its root."""
    folder = job.models / f"{job.case.id}.base"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(job.source, folder)
    (folder / "chat_template.jinja").write_text(template)
    job.case.base = str(folder)


def truth_of(edit: str) -> Layer:
    return layer("template_changed", edit=edit)


@change(14, "template", FAMILIES, each=3, in_mini=6, edit=Values(tuple(EDITS)))
def template(job: Job, edit: str) -> None:
    text = given_template(job)
    base_with(job, text)
    # Comments and names mean nothing to who chats: to say that nothing changed is right as well.
    job.truth(truth_of(edit), relation=["identical"], beside=["identical"], honest=edit == "cosmetic")
    if edit == "cosmetic":
        job.case.layers[0]["or"] = ["identical"]
    shutil.copytree(job.source, job.target)
    (job.target / "chat_template.jinja").write_text(EDITS[edit](text))


@change(14, "template-of-file", ("llama", "qwen2", "llama-wide"), each=2, in_mini=1, suffix=".gguf",
        edit=Values(("keyword", "prefill", "none")))
def template_of_file(job: Job, edit: str) -> None:
    """The quantised file carries a template of its own, which is the folder's or is not."""
    text = given_template(job)
    base_with(job, text)
    quantised = layer("quantised", type="Q8_0")
    job.truth(*([quantised] if edit == "none" else [quantised, truth_of(edit)]), beside=["repackaged", "cast"])
    model = read(job.source)
    model.tokenizer["chat_template.jinja"] = text if edit == "none" else EDITS[edit](text)
    write_gguf(job.target, model, "Q8_0")
