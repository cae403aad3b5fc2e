from transformers import AutoTokenizer


def load_tokenizer(name, max_length):
    tokenizer = AutoTokenizer.from_pretrained(name, model_max_length=max_length, padding_side="right")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def close(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False)
    return ids + [tokenizer.eos_token_id]
