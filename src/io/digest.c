/* SPDX-License-Identifier: Apache-2.0 */
#include "io/digest.h"

#include <assert.h>
#include <openssl/evp.h>

#include "base/fail.h"

struct digest {
    EVP_MD_CTX *context;
};

weir_code digest_new(digest **out, weir_error *err) {
    WEIR_CLEANUP(digest_free) digest *state = calloc(1, sizeof *state);
    if (!state) {
        return weir_fail_nomem(err);
    }
    state->context = EVP_MD_CTX_new();
    if (!state->context || EVP_DigestInit_ex(state->context, EVP_sha256(), NULL) != 1) {
        return weir_fail_nomem(err);
    }
    *out = WEIR_TAKE(state);
    return WEIR_OK;
}

/* With a context made and initialised, SHA-256 in OpenSSL has no way left to fail. */
void digest_update(digest *state, const void *data, size_t len) {
    const int done = EVP_DigestUpdate(state->context, data, len);
    assert(done == 1);
    (void)done;
}

void digest_finish(digest *state, uint8_t out[static DIGEST_BYTES]) {
    const int done = EVP_DigestFinal_ex(state->context, out, NULL);
    const int again = EVP_DigestInit_ex(state->context, NULL, NULL);
    assert(done == 1 && again == 1);
    (void)done;
    (void)again;
}

void digest_free(digest *state) {
    if (state) {
        EVP_MD_CTX_free(state->context);
        free(state);
    }
}

void digest_format(char out[static DIGEST_TEXT_BYTES], const uint8_t hash[static DIGEST_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[DIGEST_TEXT_BYTES - 1] = '\0';
}
