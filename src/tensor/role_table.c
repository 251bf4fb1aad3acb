/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file role_table.c  The families and their patterns; to add an architecture see docs/roles.md.
 *
 * Sources: the model classes of huggingface/transformers (names as saved); TensorNameMap of gguf-py
 * for the GGUF names; conversion/ of ggml-org/llama.cpp for what its converter does to the numbers:
 * llama.py permutes q and k, gpt2.py turns Conv1D, falcon.py and gptneox.py sort fused qkv into q,
 * k, v, gemma.py adds 1 to every norm, gpt_oss.py turns the experts and parts gate from up,
 * deepseek.py parts kv_b.
 */
#include "tensor/role_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/limits.h"

/* --- Hugging Face names --- */

static const role_pattern hf_decoder[] = {
    {.stored = "embed_tokens.*", .role = WEIR_ROLE_EMBEDDING},
    {.stored = "norm.*", .role = WEIR_ROLE_FINAL_NORM},
    {.stored = "lm_head.*", .role = WEIR_ROLE_HEAD},
    {.stored = "score.*", .role = WEIR_ROLE_HEAD, .part = "score"},
    {.stored = "rotary_emb.inv_freq", .role = WEIR_ROLE_ROPE},
    {.stored = "layers.#.input_layernorm.*", .role = WEIR_ROLE_ATTENTION_NORM},
    {.stored = "layers.#.self_attn.q_proj.*", .role = WEIR_ROLE_Q},
    {.stored = "layers.#.self_attn.k_proj.*", .role = WEIR_ROLE_K},
    {.stored = "layers.#.self_attn.v_proj.*", .role = WEIR_ROLE_V},
    {.stored = "layers.#.self_attn.o_proj.*", .role = WEIR_ROLE_O},
    {.stored = "layers.#.self_attn.rotary_emb.inv_freq", .role = WEIR_ROLE_ROPE},
    {.stored = "layers.#.mlp.gate_proj.*", .role = WEIR_ROLE_GATE},
    {.stored = "layers.#.mlp.up_proj.*", .role = WEIR_ROLE_UP},
    {.stored = "layers.#.mlp.down_proj.*", .role = WEIR_ROLE_DOWN},
    {0},
};

static const role_pattern hf_qk_norms[] = {
    {.stored = "layers.#.self_attn.q_norm.*", .role = WEIR_ROLE_Q_NORM},
    {.stored = "layers.#.self_attn.k_norm.*", .role = WEIR_ROLE_K_NORM},
    {0},
};

/* The name says "post attention"; what it does is to norm the input of the feed-forward part. */
static const role_pattern hf_two_norms[] = {
    {.stored = "layers.#.post_attention_layernorm.*", .role = WEIR_ROLE_FEED_FORWARD_NORM},
    {0},
};

static const role_pattern hf_four_norms[] = {
    {.stored = "layers.#.post_attention_layernorm.*", .role = WEIR_ROLE_ATTENTION_POST_NORM},
    {.stored = "layers.#.pre_feedforward_layernorm.*", .role = WEIR_ROLE_FEED_FORWARD_NORM},
    {.stored = "layers.#.post_feedforward_layernorm.*", .role = WEIR_ROLE_FEED_FORWARD_POST_NORM},
    {0},
};

static const role_pattern hf_mixtral[] = {
    {.stored = "layers.#.block_sparse_moe.gate.*", .role = WEIR_ROLE_ROUTER},
    {.stored = "layers.#.block_sparse_moe.experts.@.w1.*", .role = WEIR_ROLE_EXPERT_GATE},
    {.stored = "layers.#.block_sparse_moe.experts.@.w3.*", .role = WEIR_ROLE_EXPERT_UP},
    {.stored = "layers.#.block_sparse_moe.experts.@.w2.*", .role = WEIR_ROLE_EXPERT_DOWN},
    {0},
};

static const role_pattern hf_experts[] = {
    {.stored = "layers.#.mlp.gate.*", .role = WEIR_ROLE_ROUTER},
    {.stored = "layers.#.mlp.experts.@.gate_proj.*", .role = WEIR_ROLE_EXPERT_GATE},
    {.stored = "layers.#.mlp.experts.@.up_proj.*", .role = WEIR_ROLE_EXPERT_UP},
    {.stored = "layers.#.mlp.experts.@.down_proj.*", .role = WEIR_ROLE_EXPERT_DOWN},
    {.stored = "layers.#.mlp.experts.gate_up_proj",
     .role = WEIR_ROLE_EXPERT_GATE,
     .layout = ROLE_LAYOUT_EXPERTS_GATE_UP},
    {.stored = "layers.#.mlp.experts.down_proj",
     .role = WEIR_ROLE_EXPERT_DOWN,
     .layout = ROLE_LAYOUT_EXPERTS},
    {0},
};

static const role_pattern hf_qwen_shared_expert[] = {
    {.stored = "layers.#.mlp.shared_expert.gate_proj.*", .role = WEIR_ROLE_SHARED_EXPERT_GATE},
    {.stored = "layers.#.mlp.shared_expert.up_proj.*", .role = WEIR_ROLE_SHARED_EXPERT_UP},
    {.stored = "layers.#.mlp.shared_expert.down_proj.*", .role = WEIR_ROLE_SHARED_EXPERT_DOWN},
    {.stored = "layers.#.mlp.shared_expert_gate.*", .role = WEIR_ROLE_SHARED_EXPERT_ROUTER},
    {0},
};

static const role_pattern hf_deepseek[] = {
    {.stored = "layers.#.self_attn.q_a_proj.*", .role = WEIR_ROLE_Q_A},
    {.stored = "layers.#.self_attn.q_a_layernorm.*", .role = WEIR_ROLE_Q_A_NORM},
    {.stored = "layers.#.self_attn.q_b_proj.*", .role = WEIR_ROLE_Q_B},
    {.stored = "layers.#.self_attn.kv_a_proj_with_mqa.*", .role = WEIR_ROLE_KV_A},
    {.stored = "layers.#.self_attn.kv_a_layernorm.*", .role = WEIR_ROLE_KV_A_NORM},
    {.stored = "layers.#.self_attn.kv_b_proj.*", .role = WEIR_ROLE_KV_B},
    {.stored = "layers.#.mlp.gate.e_score_correction_bias", .role = WEIR_ROLE_ROUTER_BIAS},
    {.stored = "layers.#.mlp.shared_experts.gate_proj.*", .role = WEIR_ROLE_SHARED_EXPERT_GATE},
    {.stored = "layers.#.mlp.shared_experts.up_proj.*", .role = WEIR_ROLE_SHARED_EXPERT_UP},
    {.stored = "layers.#.mlp.shared_experts.down_proj.*", .role = WEIR_ROLE_SHARED_EXPERT_DOWN},
    {0},
};

static const role_pattern hf_phi3[] = {
    {.stored = "layers.#.self_attn.qkv_proj.*", .role = WEIR_ROLE_Q, .layout = ROLE_LAYOUT_QKV},
    {.stored = "layers.#.mlp.gate_up_proj.*",
     .role = WEIR_ROLE_GATE,
     .layout = ROLE_LAYOUT_GATE_UP},
    {0},
};

static const role_pattern hf_gpt_oss[] = {
    {.stored = "layers.#.self_attn.sinks", .role = WEIR_ROLE_SINKS},
    {.stored = "layers.#.mlp.router.*", .role = WEIR_ROLE_ROUTER},
    {.stored = "layers.#.mlp.experts.gate_up_proj",
     .role = WEIR_ROLE_EXPERT_GATE,
     .layout = ROLE_LAYOUT_EXPERTS_PAIRS},
    {.stored = "layers.#.mlp.experts.gate_up_proj_bias",
     .role = WEIR_ROLE_EXPERT_GATE,
     .layout = ROLE_LAYOUT_EXPERTS_PAIRS,
     .is_bias = true},
    {.stored = "layers.#.mlp.experts.down_proj",
     .role = WEIR_ROLE_EXPERT_DOWN,
     .layout = ROLE_LAYOUT_EXPERTS_TURNED},
    {.stored = "layers.#.mlp.experts.down_proj_bias",
     .role = WEIR_ROLE_EXPERT_DOWN,
     .layout = ROLE_LAYOUT_EXPERTS_TURNED,
     .is_bias = true},
    {0},
};

/* attn.bias and attn.masked_bias are the causal mask, stored by old versions of transformers. */
static const role_pattern hf_gpt2[] = {
    {.stored = "wte.*", .role = WEIR_ROLE_EMBEDDING},
    {.stored = "wpe.*", .role = WEIR_ROLE_POSITION_EMBEDDING},
    {.stored = "ln_f.*", .role = WEIR_ROLE_FINAL_NORM},
    {.stored = "lm_head.*", .role = WEIR_ROLE_HEAD},
    {.stored = "score.*", .role = WEIR_ROLE_HEAD, .part = "score"},
    {.stored = "h.#.ln_1.*", .role = WEIR_ROLE_ATTENTION_NORM},
    {.stored = "h.#.attn.c_attn.*", .role = WEIR_ROLE_Q, .layout = ROLE_LAYOUT_QKV_TURNED},
    {.stored = "h.#.attn.c_proj.*", .role = WEIR_ROLE_O, .layout = ROLE_LAYOUT_TURNED},
    {.stored = "h.#.attn.bias", .role = WEIR_ROLE_ROPE, .part = "mask"},
    {.stored = "h.#.attn.masked_bias", .role = WEIR_ROLE_ROPE, .part = "mask_value"},
    {.stored = "h.#.ln_2.*", .role = WEIR_ROLE_FEED_FORWARD_NORM},
    {.stored = "h.#.mlp.c_fc.*", .role = WEIR_ROLE_UP, .layout = ROLE_LAYOUT_TURNED},
    {.stored = "h.#.mlp.c_proj.*", .role = WEIR_ROLE_DOWN, .layout = ROLE_LAYOUT_TURNED},
    {0},
};

static const role_pattern hf_gpt_neox[] = {
    {.stored = "embed_in.*", .role = WEIR_ROLE_EMBEDDING},
    {.stored = "embed_out.*", .role = WEIR_ROLE_HEAD},
    {.stored = "final_layer_norm.*", .role = WEIR_ROLE_FINAL_NORM},
    {.stored = "layers.#.input_layernorm.*", .role = WEIR_ROLE_ATTENTION_NORM},
    {.stored = "layers.#.post_attention_layernorm.*", .role = WEIR_ROLE_FEED_FORWARD_NORM},
    {.stored = "layers.#.attention.query_key_value.*",
     .role = WEIR_ROLE_Q,
     .layout = ROLE_LAYOUT_QKV_GROUPS},
    {.stored = "layers.#.attention.dense.*", .role = WEIR_ROLE_O},
    {.stored = "layers.#.attention.bias", .role = WEIR_ROLE_ROPE, .part = "mask"},
    {.stored = "layers.#.attention.masked_bias", .role = WEIR_ROLE_ROPE, .part = "mask_value"},
    {.stored = "layers.#.attention.rotary_emb.inv_freq", .role = WEIR_ROLE_ROPE},
    {.stored = "layers.#.mlp.dense_h_to_4h.*", .role = WEIR_ROLE_UP},
    {.stored = "layers.#.mlp.dense_4h_to_h.*", .role = WEIR_ROLE_DOWN},
    {0},
};

static const role_pattern hf_falcon[] = {
    {.stored = "word_embeddings.*", .role = WEIR_ROLE_EMBEDDING},
    {.stored = "ln_f.*", .role = WEIR_ROLE_FINAL_NORM},
    {.stored = "lm_head.*", .role = WEIR_ROLE_HEAD},
    {.stored = "h.#.input_layernorm.*", .role = WEIR_ROLE_ATTENTION_NORM},
    {.stored = "h.#.ln_attn.*", .role = WEIR_ROLE_ATTENTION_NORM},
    {.stored = "h.#.ln_mlp.*", .role = WEIR_ROLE_FEED_FORWARD_NORM},
    {.stored = "h.#.post_attention_layernorm.*", .role = WEIR_ROLE_FEED_FORWARD_NORM},
    {.stored = "h.#.self_attention.query_key_value.*",
     .role = WEIR_ROLE_Q,
     .layout = ROLE_LAYOUT_QKV_GROUPS},
    {.stored = "h.#.self_attention.dense.*", .role = WEIR_ROLE_O},
    {.stored = "h.#.mlp.dense_h_to_4h.*", .role = WEIR_ROLE_UP},
    {.stored = "h.#.mlp.dense_4h_to_h.*", .role = WEIR_ROLE_DOWN},
    {0},
};

static const role_pattern hf_bert[] = {
    {.stored = "embeddings.word_embeddings.*", .role = WEIR_ROLE_EMBEDDING},
    {.stored = "embeddings.position_embeddings.*", .role = WEIR_ROLE_POSITION_EMBEDDING},
    {.stored = "embeddings.token_type_embeddings.*", .role = WEIR_ROLE_TOKEN_TYPE_EMBEDDING},
    {.stored = "embeddings.LayerNorm.*", .role = WEIR_ROLE_EMBEDDING_NORM},
    {.stored = "embeddings.position_ids", .role = WEIR_ROLE_ROPE, .part = "position_ids"},
    {.stored = "encoder.layer.#.attention.self.query.*", .role = WEIR_ROLE_Q},
    {.stored = "encoder.layer.#.attention.self.key.*", .role = WEIR_ROLE_K},
    {.stored = "encoder.layer.#.attention.self.value.*", .role = WEIR_ROLE_V},
    {.stored = "encoder.layer.#.attention.output.dense.*", .role = WEIR_ROLE_O},
    {.stored = "encoder.layer.#.attention.output.LayerNorm.*",
     .role = WEIR_ROLE_ATTENTION_POST_NORM},
    {.stored = "encoder.layer.#.intermediate.dense.*", .role = WEIR_ROLE_UP},
    {.stored = "encoder.layer.#.output.dense.*", .role = WEIR_ROLE_DOWN},
    {.stored = "encoder.layer.#.output.LayerNorm.*", .role = WEIR_ROLE_FEED_FORWARD_POST_NORM},
    {.stored = "pooler.dense.*", .role = WEIR_ROLE_POOLER},
    {.stored = "classifier.*", .role = WEIR_ROLE_HEAD, .part = "classifier"},
    {.stored = "cls.predictions.decoder.*", .role = WEIR_ROLE_HEAD},
    {.stored = "cls.predictions.bias", .role = WEIR_ROLE_HEAD, .part = "output", .is_bias = true},
    {.stored = "cls.predictions.transform.dense.*", .role = WEIR_ROLE_HEAD, .part = "transform"},
    {.stored = "cls.predictions.transform.LayerNorm.*", .role = WEIR_ROLE_HEAD, .part = "norm"},
    {.stored = "cls.seq_relationship.*", .role = WEIR_ROLE_HEAD, .part = "next_sentence"},
    {0},
};

/* --- GGUF names --- */

static const role_pattern gguf_common[] = {
    {.stored = "token_embd.*", .role = WEIR_ROLE_EMBEDDING},
    {.stored = "output.*", .role = WEIR_ROLE_HEAD},
    {.stored = "rope_freqs.*", .role = WEIR_ROLE_ROPE},
    {.stored = "rope_factors_long.*", .role = WEIR_ROLE_ROPE, .part = "long"},
    {.stored = "rope_factors_short.*", .role = WEIR_ROLE_ROPE, .part = "short"},
    {.stored = "blk.#.attn_rot_embd.*", .role = WEIR_ROLE_ROPE},
    {.stored = "blk.#.attn_v.*", .role = WEIR_ROLE_V},
    {.stored = "blk.#.attn_output.*", .role = WEIR_ROLE_O},
    {.stored = "blk.#.ffn_down.*", .role = WEIR_ROLE_DOWN},
    {0},
};

static const role_pattern gguf_gate_up[] = {
    {.stored = "blk.#.ffn_gate.*", .role = WEIR_ROLE_GATE},
    {.stored = "blk.#.ffn_up.*", .role = WEIR_ROLE_UP},
    {0},
};

static const role_pattern gguf_norms[] = {
    {.stored = "output_norm.*", .role = WEIR_ROLE_FINAL_NORM},
    {.stored = "blk.#.attn_norm.*", .role = WEIR_ROLE_ATTENTION_NORM},
    {.stored = "blk.#.ffn_norm.*", .role = WEIR_ROLE_FEED_FORWARD_NORM},
    {.stored = "blk.#.attn_q_norm.*", .role = WEIR_ROLE_Q_NORM},
    {.stored = "blk.#.attn_k_norm.*", .role = WEIR_ROLE_K_NORM},
    {0},
};

/* Gemma multiplies by 1 + weight; the converter stores 1 + weight. */
static const role_pattern gguf_gemma_norms[] = {
    {.stored = "output_norm.*", .role = WEIR_ROLE_FINAL_NORM, .offset = -1.0F},
    {.stored = "blk.#.attn_norm.*", .role = WEIR_ROLE_ATTENTION_NORM, .offset = -1.0F},
    {.stored = "blk.#.ffn_norm.*", .role = WEIR_ROLE_FEED_FORWARD_NORM, .offset = -1.0F},
    {.stored = "blk.#.attn_q_norm.*", .role = WEIR_ROLE_Q_NORM, .offset = -1.0F},
    {.stored = "blk.#.attn_k_norm.*", .role = WEIR_ROLE_K_NORM, .offset = -1.0F},
    {.stored = "blk.#.post_attention_norm.*",
     .role = WEIR_ROLE_ATTENTION_POST_NORM,
     .offset = -1.0F},
    {.stored = "blk.#.post_ffw_norm.*", .role = WEIR_ROLE_FEED_FORWARD_POST_NORM, .offset = -1.0F},
    {0},
};

static const role_pattern gguf_qk[] = {
    {.stored = "blk.#.attn_q.*", .role = WEIR_ROLE_Q},
    {.stored = "blk.#.attn_k.*", .role = WEIR_ROLE_K},
    {0},
};

static const role_pattern gguf_qk_rope[] = {
    {.stored = "blk.#.attn_q.*", .role = WEIR_ROLE_Q, .layout = ROLE_LAYOUT_ROPE},
    {.stored = "blk.#.attn_k.*", .role = WEIR_ROLE_K, .layout = ROLE_LAYOUT_ROPE},
    {0},
};

static const role_pattern gguf_qkv[] = {
    {.stored = "blk.#.attn_qkv.*", .role = WEIR_ROLE_Q, .layout = ROLE_LAYOUT_QKV},
    {0},
};

/* Files from before the experts were stacked have one tensor an expert. */
static const role_pattern gguf_experts[] = {
    {.stored = "blk.#.ffn_gate_inp.*", .role = WEIR_ROLE_ROUTER},
    {.stored = "blk.#.ffn_gate_exps.*",
     .role = WEIR_ROLE_EXPERT_GATE,
     .layout = ROLE_LAYOUT_EXPERTS},
    {.stored = "blk.#.ffn_up_exps.*", .role = WEIR_ROLE_EXPERT_UP, .layout = ROLE_LAYOUT_EXPERTS},
    {.stored = "blk.#.ffn_down_exps.*",
     .role = WEIR_ROLE_EXPERT_DOWN,
     .layout = ROLE_LAYOUT_EXPERTS},
    {.stored = "blk.#.ffn_gate.@.*", .role = WEIR_ROLE_EXPERT_GATE},
    {.stored = "blk.#.ffn_up.@.*", .role = WEIR_ROLE_EXPERT_UP},
    {.stored = "blk.#.ffn_down.@.*", .role = WEIR_ROLE_EXPERT_DOWN},
    {.stored = "blk.#.ffn_gate_inp_shexp.*", .role = WEIR_ROLE_SHARED_EXPERT_ROUTER},
    {.stored = "blk.#.ffn_gate_shexp.*", .role = WEIR_ROLE_SHARED_EXPERT_GATE},
    {.stored = "blk.#.ffn_up_shexp.*", .role = WEIR_ROLE_SHARED_EXPERT_UP},
    {.stored = "blk.#.ffn_down_shexp.*", .role = WEIR_ROLE_SHARED_EXPERT_DOWN},
    {.stored = "blk.#.exp_probs_b.bias", .role = WEIR_ROLE_ROUTER_BIAS},
    {0},
};

/* attn_k_b and attn_v_b, the halves of kv_b in files made for absorbed attention, are left out: one
 * is turned inside each head, so no view of whole rows can undo it. */
static const role_pattern gguf_deepseek[] = {
    {.stored = "blk.#.attn_q_a.*", .role = WEIR_ROLE_Q_A},
    {.stored = "blk.#.attn_q_a_norm.*", .role = WEIR_ROLE_Q_A_NORM},
    {.stored = "blk.#.attn_q_b.*", .role = WEIR_ROLE_Q_B},
    {.stored = "blk.#.attn_kv_a_mqa.*", .role = WEIR_ROLE_KV_A},
    {.stored = "blk.#.attn_kv_a_norm.*", .role = WEIR_ROLE_KV_A_NORM},
    {.stored = "blk.#.attn_kv_b.*", .role = WEIR_ROLE_KV_B},
    {0},
};

/* gate and up stand in one tensor that carries the name of up. */
static const role_pattern gguf_phi3[] = {
    {.stored = "blk.#.ffn_up.*", .role = WEIR_ROLE_GATE, .layout = ROLE_LAYOUT_GATE_UP},
    {0},
};

static const role_pattern gguf_gpt_oss[] = {
    {.stored = "blk.#.attn_sinks.*", .role = WEIR_ROLE_SINKS},
    {.stored = "blk.#.post_attention_norm.*", .role = WEIR_ROLE_FEED_FORWARD_NORM},
    {0},
};

static const role_pattern gguf_gpt2[] = {
    {.stored = "position_embd.*", .role = WEIR_ROLE_POSITION_EMBEDDING},
    {.stored = "blk.#.ffn_up.*", .role = WEIR_ROLE_UP},
    {0},
};

/* With two norms before one block, attn_norm is the feed-forward one: ln_mlp, and attn_norm_2 is
 * ln_attn. */
static const role_pattern gguf_falcon[] = {
    {.stored = "output_norm.*", .role = WEIR_ROLE_FINAL_NORM},
    {.stored = "blk.#.attn_norm.*",
     .role = WEIR_ROLE_FEED_FORWARD_NORM,
     .needs = "blk.0.attn_norm_2.weight"},
    {.stored = "blk.#.attn_norm.*", .role = WEIR_ROLE_ATTENTION_NORM},
    {.stored = "blk.#.attn_norm_2.*", .role = WEIR_ROLE_ATTENTION_NORM},
    {.stored = "blk.#.ffn_up.*", .role = WEIR_ROLE_UP},
    {0},
};

static const role_pattern gguf_bert[] = {
    {.stored = "position_embd.*", .role = WEIR_ROLE_POSITION_EMBEDDING},
    {.stored = "token_types.*", .role = WEIR_ROLE_TOKEN_TYPE_EMBEDDING},
    {.stored = "token_embd_norm.*", .role = WEIR_ROLE_EMBEDDING_NORM},
    {.stored = "blk.#.attn_output_norm.*", .role = WEIR_ROLE_ATTENTION_POST_NORM},
    {.stored = "blk.#.layer_output_norm.*", .role = WEIR_ROLE_FEED_FORWARD_POST_NORM},
    {.stored = "blk.#.ffn_up.*", .role = WEIR_ROLE_UP},
    {.stored = "cls.*", .role = WEIR_ROLE_POOLER},
    {.stored = "cls.output.*", .role = WEIR_ROLE_HEAD, .part = "classifier"},
    {0},
};

/* --- families --- */

#define NAMES(...)    ((const char *const[]){__VA_ARGS__, NULL})
#define PATTERNS(...) ((const role_pattern *const[]){__VA_ARGS__, NULL})

static const role_family families[] = {
    {.names = NAMES("llama", "mistral", "mixtral"),
     .patterns = PATTERNS(hf_decoder, hf_two_norms, hf_mixtral, gguf_common, gguf_gate_up,
                          gguf_norms, gguf_qk_rope, gguf_experts)},
    {.names = NAMES("qwen2", "qwen3"),
     .patterns = PATTERNS(hf_decoder, hf_qk_norms, hf_two_norms, gguf_common, gguf_gate_up,
                          gguf_norms, gguf_qk)},
    {.names = NAMES("qwen2_moe", "qwen2moe", "qwen3_moe", "qwen3moe"),
     .patterns = PATTERNS(hf_decoder, hf_qk_norms, hf_two_norms, hf_experts, hf_qwen_shared_expert,
                          gguf_common, gguf_gate_up, gguf_norms, gguf_qk, gguf_experts)},
    {.names = NAMES("gemma"),
     .patterns =
         PATTERNS(hf_decoder, hf_two_norms, gguf_common, gguf_gate_up, gguf_gemma_norms, gguf_qk),
     .tied_by_default = true},
    {.names = NAMES("gemma2", "gemma3", "gemma3_text"),
     .patterns = PATTERNS(hf_decoder, hf_qk_norms, hf_four_norms, gguf_common, gguf_gate_up,
                          gguf_gemma_norms, gguf_qk),
     .tied_by_default = true},
    {.names = NAMES("phi3"),
     .patterns = PATTERNS(hf_decoder, hf_two_norms, hf_phi3, gguf_common, gguf_norms, gguf_qk,
                          gguf_qkv, gguf_phi3)},
    {.names = NAMES("gpt2"),
     .patterns = PATTERNS(hf_gpt2, gguf_common, gguf_norms, gguf_qkv, gguf_gpt2),
     .tied_by_default = true},
    {.names = NAMES("gpt_neox", "gptneox"),
     .patterns = PATTERNS(hf_gpt_neox, gguf_common, gguf_gate_up, gguf_norms, gguf_qkv)},
    {.names = NAMES("falcon", "RefinedWeb", "RefinedWebModel"),
     .patterns = PATTERNS(hf_falcon, gguf_common, gguf_falcon, gguf_qkv),
     .tied_by_default = true},
    {.names = NAMES("bert"),
     .patterns = PATTERNS(hf_bert, gguf_common, gguf_qk, gguf_qkv, gguf_bert)},
    {.names = NAMES("deepseek_v2", "deepseek_v3", "deepseek2"),
     .patterns = PATTERNS(hf_decoder, hf_two_norms, hf_experts, hf_deepseek, gguf_common,
                          gguf_gate_up, gguf_norms, gguf_qk, gguf_experts, gguf_deepseek)},
    {.names = NAMES("gpt_oss", "gpt-oss"),
     .patterns = PATTERNS(hf_decoder, hf_two_norms, hf_gpt_oss, gguf_common, gguf_norms, gguf_qk,
                          gguf_experts, gguf_gpt_oss)},
};
enum { FAMILY_COUNT = sizeof families / sizeof *families };

/* Tried in this order; the rest of the name must be a pattern. The first is no prefix. */
static const char *const prefixes[] = {
    "",
    "model.",
    "transformer.",
    "gpt_neox.",
    "bert.",
    "language_model.",
    "language_model.model.",
    "model.language_model.",
    "model.language_model.model.",
    "0.auto_model.", /* sentence-transformers, whole pipeline saved */
};

static const struct role_name {
    const char *name;
    const char *canonical;
} role_names[WEIR_ROLE_COUNT] = {
    [WEIR_ROLE_UNKNOWN] = {"unknown", "unknown"},
    [WEIR_ROLE_EMBEDDING] = {"embedding", "embedding"},
    [WEIR_ROLE_POSITION_EMBEDDING] = {"position_embedding", "position_embedding"},
    [WEIR_ROLE_TOKEN_TYPE_EMBEDDING] = {"token_type_embedding", "token_type_embedding"},
    [WEIR_ROLE_EMBEDDING_NORM] = {"embedding_norm", "embedding_norm"},
    [WEIR_ROLE_ATTENTION_NORM] = {"attention_norm", "attention_norm"},
    [WEIR_ROLE_ATTENTION_POST_NORM] = {"attention_post_norm", "attention_post_norm"},
    [WEIR_ROLE_Q] = {"q", "q"},
    [WEIR_ROLE_K] = {"k", "k"},
    [WEIR_ROLE_V] = {"v", "v"},
    [WEIR_ROLE_O] = {"o", "o"},
    [WEIR_ROLE_Q_NORM] = {"q_norm", "q_norm"},
    [WEIR_ROLE_K_NORM] = {"k_norm", "k_norm"},
    [WEIR_ROLE_Q_A] = {"q_a", "q_a"},
    [WEIR_ROLE_Q_A_NORM] = {"q_a_norm", "q_a_norm"},
    [WEIR_ROLE_Q_B] = {"q_b", "q_b"},
    [WEIR_ROLE_KV_A] = {"kv_a", "kv_a"},
    [WEIR_ROLE_KV_A_NORM] = {"kv_a_norm", "kv_a_norm"},
    [WEIR_ROLE_KV_B] = {"kv_b", "kv_b"},
    [WEIR_ROLE_SINKS] = {"sinks", "sinks"},
    [WEIR_ROLE_FEED_FORWARD_NORM] = {"feed_forward_norm", "feed_forward_norm"},
    [WEIR_ROLE_FEED_FORWARD_POST_NORM] = {"feed_forward_post_norm", "feed_forward_post_norm"},
    [WEIR_ROLE_GATE] = {"gate", "gate"},
    [WEIR_ROLE_UP] = {"up", "up"},
    [WEIR_ROLE_DOWN] = {"down", "down"},
    [WEIR_ROLE_ROUTER] = {"router", "router"},
    [WEIR_ROLE_ROUTER_BIAS] = {"router_bias", "router_bias"},
    [WEIR_ROLE_EXPERT_GATE] = {"expert_gate", "gate"},
    [WEIR_ROLE_EXPERT_UP] = {"expert_up", "up"},
    [WEIR_ROLE_EXPERT_DOWN] = {"expert_down", "down"},
    [WEIR_ROLE_SHARED_EXPERT_GATE] = {"shared_expert_gate", "shared_expert.gate"},
    [WEIR_ROLE_SHARED_EXPERT_UP] = {"shared_expert_up", "shared_expert.up"},
    [WEIR_ROLE_SHARED_EXPERT_DOWN] = {"shared_expert_down", "shared_expert.down"},
    [WEIR_ROLE_SHARED_EXPERT_ROUTER] = {"shared_expert_router", "shared_expert.router"},
    [WEIR_ROLE_FINAL_NORM] = {"final_norm", "final_norm"},
    [WEIR_ROLE_HEAD] = {"head", "head"},
    [WEIR_ROLE_POOLER] = {"pooler", "pooler"},
    [WEIR_ROLE_ROPE] = {"rope", "rope"},
    [WEIR_ROLE_ADAPTER_A] = {"adapter_a", "adapter_a"},
    [WEIR_ROLE_ADAPTER_B] = {"adapter_b", "adapter_b"},
    [WEIR_ROLE_ADAPTER_OTHER] = {"adapter_other", "adapter_other"},
};

const char *weir_role_name(weir_role role) {
    return role_names[role].name;
}

const char *role_canonical(weir_role role) {
    return role_names[role].canonical;
}

const role_family *role_family_find(const char *architecture) {
    for (size_t i = 0; architecture && i < FAMILY_COUNT; i++) {
        for (const char *const *name = families[i].names; *name; name++) {
            if (strcmp(*name, architecture) == 0) {
                return &families[i];
            }
        }
    }
    return NULL;
}

/* --- index --- */

static size_t add_family(const role_pattern **items, size_t count, const role_family *family) {
    for (const role_pattern *const *list = family->patterns; *list; list++) {
        for (const role_pattern *pattern = *list; pattern->stored; pattern++) {
            items[count++] = pattern;
        }
    }
    return count;
}

static size_t count_patterns(const role_family *family) {
    size_t count = 0;
    for (const role_pattern *const *list = family->patterns; *list; list++) {
        for (const role_pattern *pattern = *list; pattern->stored; pattern++) {
            count++;
        }
    }
    return count;
}

/* The one with a condition first: it is tried before the one without. */
static int compare_patterns(const void *left, const void *right) {
    const role_pattern *a = *(const role_pattern *const *)left;
    const role_pattern *b = *(const role_pattern *const *)right;
    const int order = strcmp(a->stored, b->stored);
    return order ? order : (a->needs == NULL) - (b->needs == NULL);
}

static bool agree(const role_pattern *a, const role_pattern *b) {
    return a->role == b->role && a->layout == b->layout && a->is_bias == b->is_bias &&
           a->offset <= b->offset && a->offset >= b->offset && !a->needs && !b->needs;
}

/* Keep one of equal patterns, and none of those about which the families differ. */
static size_t keep_agreed(const role_pattern **items, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count;) {
        size_t next = i + 1;
        bool all_agree = agree(items[i], items[i]);
        while (next < count && strcmp(items[next]->stored, items[i]->stored) == 0) {
            all_agree = all_agree && agree(items[i], items[next]);
            next++;
        }
        if (all_agree) {
            items[kept++] = items[i];
        }
        i = next;
    }
    return kept;
}

weir_code role_index_build(role_index *out, const role_family *family, weir_error *err) {
    const role_family *const first = family ? family : families;
    const size_t family_count = family ? 1 : FAMILY_COUNT;
    size_t count = 0;
    for (size_t i = 0; i < family_count; i++) {
        count += count_patterns(&first[i]);
    }
    const role_pattern **items = checked_alloc(count, sizeof *items);
    if (!items) {
        return weir_fail_nomem(err);
    }
    count = 0;
    for (size_t i = 0; i < family_count; i++) {
        count = add_family(items, count, &first[i]);
    }
    qsort(items, count, sizeof *items, compare_patterns);
    out->items = items;
    out->count = family ? count : keep_agreed(items, count);
    return WEIR_OK;
}

void role_index_release(role_index *index) {
    free(index->items);
    *index = (role_index){0};
}

/* --- look-up --- */

/* A name as a pattern is written, with what the placeholders stood for. */
typedef struct name_key {
    char text[TENSOR_NAME_BYTES_MAX +
              1]; /* placeholders and ".*" are never longer than what they replace */
    int32_t numbers[2];
    size_t number_count;
} name_key;

enum { NUMBER_DIGITS_MAX = 6 };

/* A part of a name that is a number as its writer prints it: no sign, no leading zero. */
static bool parse_number(int32_t *out, const char *part, size_t len) {
    if (len == 0 || len > NUMBER_DIGITS_MAX || (part[0] == '0' && len > 1)) {
        return false;
    }
    int32_t number = 0;
    for (size_t i = 0; i < len; i++) {
        if (part[i] < '0' || part[i] > '9') {
            return false;
        }
        number = number * 10 + (part[i] - '0');
    }
    *out = number;
    return true;
}

/* @return false for a name that is too long to be in any table, or spells a placeholder itself */
static bool make_key(name_key *key, const char *name) {
    if (strlen(name) > TENSOR_NAME_BYTES_MAX || strpbrk(name, "#@*")) {
        return false;
    }
    static const char placeholders[] = {'#', '@'};
    char *end = key->text;
    key->number_count = 0;
    for (const char *part = name;; part++) {
        const size_t len = strcspn(part, ".");
        if (key->number_count < 2 && parse_number(&key->numbers[key->number_count], part, len)) {
            *end++ = placeholders[key->number_count++];
        } else {
            memcpy(end, part, len);
            end += len;
        }
        part += len;
        if (*part == '\0') {
            break;
        }
        *end++ = '.';
    }
    *end = '\0';
    return true;
}

/* Replace ".weight" and the like by ".*". @return false when the name ends in none of them */
static bool generalise_suffix(name_key *key, bool *is_bias) {
    static const struct {
        const char *text;
        bool is_bias;
    } suffixes[] = {{".weight", false}, {".bias", true}, {".gamma", false}, {".beta", true}};
    const size_t len = strlen(key->text);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        const size_t suffix_len = strlen(suffixes[i].text);
        if (len > suffix_len && strcmp(key->text + len - suffix_len, suffixes[i].text) == 0) {
            memcpy(key->text + len - suffix_len, ".*", 3);
            *is_bias = suffixes[i].is_bias;
            return true;
        }
    }
    return false;
}

static size_t lower_bound(const role_index *index, const char *text) {
    size_t begin = 0;
    size_t end = index->count;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        if (strcmp(index->items[middle]->stored, text) < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

static const role_pattern *find_text(const role_index *index, const char *text,
                                     bool (*exists)(const void *, const char *),
                                     const void *context) {
    for (size_t i = lower_bound(index, text); i < index->count; i++) {
        const role_pattern *const pattern = index->items[i];
        if (strcmp(pattern->stored, text) != 0) {
            return NULL;
        }
        if (!pattern->needs || (exists && exists(context, pattern->needs))) {
            return pattern;
        }
    }
    return NULL;
}

bool role_index_find(const role_index *index, role_match *out, const char *stored_name,
                     bool (*exists)(const void *context, const char *stored_name),
                     const void *context) {
    name_key key;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        const size_t len = strlen(prefixes[i]);
        if (strncmp(stored_name, prefixes[i], len) != 0 || !make_key(&key, stored_name + len)) {
            continue;
        }
        bool is_bias = false;
        const role_pattern *pattern = find_text(index, key.text, exists, context);
        if (pattern) {
            is_bias = pattern->is_bias;
        } else if (generalise_suffix(&key, &is_bias)) {
            pattern = find_text(index, key.text, exists, context);
        }
        if (pattern) {
            *out = (role_match){.pattern = pattern,
                                .layer = key.number_count > 0 ? key.numbers[0] : -1,
                                .expert = key.number_count > 1 ? key.numbers[1] : -1,
                                .is_bias = is_bias};
            return true;
        }
    }
    return false;
}
