"""Tiny language models with random weights, saved as their publishers save them."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import ByteLevel, Whitespace
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

# fmt: off
WORDS = [
    "a", "absent", "and", "apex", "at", "base", "breath", "clear", "crackle", "expiratory", "for", "grade",
    "holosystolic", "is", "known", "left", "loud", "lung", "murmur", "no", "of", "over", "right", "sounds", "systolic",
    "the", "wheeze", "years", ".", ",",
]
# fmt: on
WIDTH, LAYERS = 32, 3
SIZES = {
    "vocab_size": 320,
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "max_position_embeddings": 160,
}
DECODER = {**SIZES, "num_key_value_heads": 2, "head_dim": 8}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
# Sliding windows shorter than a report, so that a wrong mask or position would show.
GEMMA = {**DECODER, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
SPECIAL = ["[PAD]", "[UNK]", "<bos>", "<eos>", "[CLS]", "[SEP]"]
PAD, UNK, BOS, EOS, CLS, SEP = range(6)

DECODERS = ("llama", "gemma3_text", "gemma3", "qwen2", "qwen3", "qwen2_vl", "llava")
FAMILIES = ("bert", *DECODERS, "t5")
MULTIMODAL = ("gemma3", "qwen2_vl", "llava")


def make_model(family: str, folder: Path, seed: int = 0, **changes) -> str:
    """Save a tiny model of a family with a tokenizer of whole words; the folder."""
    torch.manual_seed(seed)
    model = _model(family, changes)
    with torch.no_grad():
        for parameter in model.parameters():
            # The usual deviation of 0.02 gives deep states that hardly differ between reports.
            noise = 0.2 * torch.randn_like(parameter)
            parameter.copy_(noise if parameter.ndim > 1 else parameter + noise)
    model.eval().save_pretrained(folder)
    make_tokenizer(folder, encoder=family == "bert")
    return str(folder)


def _model(family: str, changes: dict) -> torch.nn.Module:
    t = transformers
    common = {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, **changes}
    if family == "bert":
        return t.BertModel(t.BertConfig(**SIZES, pad_token_id=PAD, **changes))
    if family == "llama":
        return t.LlamaForCausalLM(t.LlamaConfig(**DECODER, **common))
    if family == "qwen2":
        return t.Qwen2ForCausalLM(t.Qwen2Config(**DECODER, **common))
    if family == "qwen3":
        return t.Qwen3ForCausalLM(t.Qwen3Config(**DECODER, **common))
    if family == "gemma3_text":
        return t.Gemma3ForCausalLM(t.Gemma3TextConfig(**GEMMA, **common))
    if family == "gemma3":
        config = t.Gemma3Config(
            text_config={**GEMMA, **common}, vision_config=VISION, mm_tokens_per_image=4, image_token_index=310
        )
        return t.Gemma3ForConditionalGeneration(config)
    if family == "llava":
        text = t.LlamaConfig(**DECODER, **common)
        return t.LlavaForConditionalGeneration(
            t.LlavaConfig(text_config=text, vision_config=t.SiglipVisionConfig(**VISION), image_token_index=310)
        )
    if family == "qwen2_vl":
        rope = {"type": "mrope", "rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
        config = t.Qwen2VLConfig(
            text_config={**DECODER, **common, "rope_scaling": rope},
            vision_config={"depth": 1, "embed_dim": 16, "hidden_size": WIDTH, "num_heads": 2, "mlp_ratio": 1},
        )
        return t.Qwen2VLForConditionalGeneration(config)
    assert family == "t5"
    config = t.T5Config(
        vocab_size=320, d_model=WIDTH, d_kv=8, d_ff=48, num_layers=LAYERS, num_heads=4, pad_token_id=PAD, **changes
    )
    return t.T5ForConditionalGeneration(config)


def make_tokenizer(folder: Path, *, encoder: bool) -> None:
    """An encoder's of whole words with ``[CLS] .. [SEP]``; a decoder's of bytes and their pairs after ``<bos>``."""
    if encoder:
        vocabulary = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
        tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = Whitespace()
        names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
        template, around = "[CLS] $A [SEP]", [("[CLS]", CLS), ("[SEP]", SEP)]
    else:
        tokenizer = Tokenizer(BPE())
        tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
        tokenizer.decoder = ByteLevelDecoder()
        trainer = BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=ByteLevel.alphabet())
        tokenizer.train_from_iterator([" ".join(WORDS)], trainer)
        # As Llama's: no padding token.
        names = {"bos_token": "<bos>", "eos_token": "<eos>"}
        template, around = "<bos> $A", [("<bos>", BOS)]
    tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=around)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=10**6, **names).save_pretrained(
        folder
    )
