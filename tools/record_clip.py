"""Records what the tests of words compare with: CLIP's tokens, and a tiny CLIP, by others' programs.

    pip install open_clip_torch transformers onnx onnxscript
    python tools/record_clip.py tests/clip

- `tokens.json`: 200 texts and their tokens as open_clip's own tokeniser gives them, which is
  OpenAI's program of 2021 (Python, `regex`, `ftfy`), independent of the library that we use.
- `tokenizer.json`: CLIP's tokeniser as it lies in repositories of the hub, made by transformers of
  the vocabulary that open_clip brings along; what joins letters to tokens is kept as far as these
  texts need it, so that it is 0.1 MB instead of 2.2. Their tokens have the same numbers.
- `images.onnx.gz`, `texts.onnx.gz`: CLIP of transformers with two narrow layers and random weights,
  exported by PyTorch; rows of the table of tokens that no text needs are 0.
- `expected.npz`: what PyTorch gives for some texts.

Texts that spell out the names of special tokens are not among the 200: there the programs differ.
"""

# ruff: noqa: E501

from __future__ import annotations

import gzip
import itertools
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import open_clip.tokenizer
import torch
from transformers import CLIPConfig, CLIPModel, CLIPTokenizerFast

_THINGS = """lemon|red bicycle|cow in a meadow|ladybird|stop sign|pair of scissors|wedding|bridge|
    traffic light|teapot|X-ray of a hand|map of Europe|stamp|flat tyre|zebra crossing|old man|
    woman's hat|children playing|snow-covered roof|jack-o'-lantern|3 dogs|10,000 birds|20% discount|
    half-eaten apple|T-shirt|U.S. flag|mother-in-law|rock'n'roll band|CO2 bottle|A4 sheet"""
_TEMPLATES = ("{}", "a photo of a {}", "A PHOTO OF A {}.", "a  bad   drawing of the {}!")
_OTHERS = [
    "",
    " ",
    ".",
    "?!",
    "...",
    "a",
    "I",
    "lemon\nand lime",
    "tab\tbetween",
    "  spaces around  ",
    "don't",
    "it's",
    "they're",
    "we'll",
    "I'd",
    "I've",
    "I'm",
    "O'Neill's",
    "'quoted'",
    '"double"',
    "eine Zitrone auf dem Tisch",
    "das rote Fahrrad",
    "Straße",
    "größer als",
    "ein Überraschungsei",
    "un vélo rouge",
    "l'été",
    "façade",
    "Noël à la montagne",
    "œuf",
    "garçon",
    "un niño pequeño",
    "¿Dónde está?",
    "corazón",
    "pão de açúcar",
    "città",
    "perché",
    "žlutý kůň",
    "čaj",
    "řeka",
    "Łódź",
    "rdeče kolo",
    "šumenje vetra v češnji",
    "ću, đak, žaba",
    "İstanbul",
    "ışık",
    "kırmızı bisiklet",
    "красный велосипед",
    "Красная площадь",
    "ёлка",
    "ποδήλατο",
    "κόκκινο ΠΟΔΉΛΑΤΟ",
    "דג",
    "אופניים אדומים",
    "دراجة حمراء",
    "سیب",
    "लाल साइकिल",
    "ลูกแมว",
    "自転車",
    "赤い自転車",
    "红色的自行车",
    "红",
    "猫と犬",
    "빨간 자전거",
    "고양이",
    "ქართული",
    "հայերեն",
    "Việt Nam xe đạp đỏ",
    "ﬁne ligature",
    "Ⅷ",
    "½ cup",
    "x²",
    "🍋",
    "🍋🍋🍋",
    "a 🚲 in red",
    "👨‍👩‍👧‍👦 at the beach",
    "🇸🇮 flag",
    "👍🏽",
    "❤️",
    "☃ snowman",
    "♥♥",
    "😀 smile 😀",
    "🐱‍👤",
    "a🚲b",
    "&lt;b&gt; &amp;amp; HTML",
    "a@b.com",
    "https://example.com/a?b=c&d=1",
    "C:\\photos\\lemon.png",
    "photos/2024_05_01-IMG_0042.JPG",
    "#hashtag",
    "$9.99",
    "€20",
    "50°C",
    "1/2",
    "12345678901234567890",
    "3.14159",
    "a_b-c d",
    "naïve café résumé",
    "ＦＵＬＬ　ＷＩＤＴＨ",
    "—dash—",
    "“curly”",
    "a" * 300,
    "lemon " * 100,
    "🍋" * 60,
    "赤い自転車" * 30,
    "photo of a very " * 40 + "red bicycle",
    " ".join(str(number) for number in range(200)),
    "Donaudampfschifffahrtsgesellschaftskapitän",
    "(brackets) [square] {curly} <angle>",
    "semi;colon:colon",
    "under_score",
    "ALLCAPS",
    "CamelCaseWord",
    "e\u0301 combined",
    "zero\u200bwidth",
    "non\u00a0breaking",
    "soft\u00adhyphen",
    "a\u2028b",
]


def texts() -> list[str]:
    """The 200 texts."""
    things = [thing.strip() for thing in _THINGS.split("|")]
    made = [template.format(thing) for thing in things for template in _TEMPLATES]
    chosen = [*_OTHERS, *made]
    return list(dict.fromkeys(chosen))[:200]


def main() -> None:
    """Write all files into the folder that the command line names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    by_open_clip = open_clip.tokenizer.SimpleTokenizer()
    chosen = texts()
    assert len(chosen) == 200
    tokens = [trimmed(row) for row in by_open_clip(chosen).tolist()]
    (folder / "tokens.json").write_text(
        json.dumps(
            [[text, ids] for text, ids in zip(chosen, tokens, strict=True)],
            ensure_ascii=False,
            indent=0,
        )
    )
    write_tokenizer(folder / "tokenizer.json", by_open_clip, chosen)
    used = sorted({token for ids in tokens for token in ids})
    write_network(folder, used, tokens)


def trimmed(ids: list[int]) -> list[int]:
    """Without what fills the rest of the 77 places."""
    return ids[: ids.index(49407) + 1]


def write_tokenizer(
    path: Path, known: open_clip.tokenizer.SimpleTokenizer, chosen: list[str]
) -> None:
    """Have transformers write the whole tokeniser, and keep the part that the texts need."""
    vocabulary = dict(known.encoder)
    vocabulary["<|startoftext|>"] = vocabulary.pop("<start_of_text>", None) or 49406
    vocabulary["<|endoftext|>"] = vocabulary.pop("<end_of_text>", None) or 49407
    merges = sorted(known.bpe_ranks, key=known.bpe_ranks.get)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "vocab.json").write_text(json.dumps(vocabulary))
        lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
        (Path(name) / "merges.txt").write_text("\n".join(lines) + "\n")
        CLIPTokenizerFast.from_pretrained(name).save_pretrained(name)
        whole = json.loads((Path(name) / "tokenizer.json").read_text())
    print("whole tokenizer.json:", {k: v for k, v in whole.items() if k != "model"})
    kept = needed_merges(whole, chosen)
    model = whole["model"]
    pieces = {"".join(pair) for pair in kept}
    model["vocab"] = {
        piece: number
        for piece, number in model["vocab"].items()
        if number < 512 or number >= 49406 or piece in pieces
    }
    model["merges"] = [list(pair) for pair in kept]
    path.write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")))
    print("kept", len(kept), "merges;", path.stat().st_size, "bytes")


def needed_merges(whole: dict, chosen: list[str]) -> list[tuple[str, str]]:
    """Those merges that are made on the way to the texts' tokens, in their order."""
    import tokenizers

    ranks = {
        tuple(m) if isinstance(m, list) else tuple(m.split(" ")): i
        for i, m in enumerate(whole["model"]["merges"])
    }
    full = tokenizers.Tokenizer.from_str(json.dumps(whole))
    used: set[tuple[str, str]] = set()
    for text in chosen:
        text = open_clip.tokenizer.basic_clean(text)  # as is done before with either
        normal = full.normalizer.normalize_str(text)
        for word, _ in full.pre_tokenizer.pre_tokenize_str(normal):
            parts = [*word[:-1], word[-1] + "</w>"] if word else []
            while len(parts) > 1:
                best = min(itertools.pairwise(parts), key=lambda pair: ranks.get(pair, 10**9))
                if best not in ranks:
                    break
                used.add(best)
                joined, index = [], 0
                while index < len(parts):
                    if tuple(parts[index : index + 2]) == best:
                        joined.append("".join(best))
                        index += 2
                    else:
                        joined.append(parts[index])
                        index += 1
                parts = joined
    return sorted(used, key=ranks.get)


class Images(torch.nn.Module):
    """CLIP's side for images, by the name of its output on the hub."""

    def __init__(self, model: CLIPModel) -> None:
        super().__init__()
        self.vision, self.projection = model.vision_model, model.visual_projection

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.projection(self.vision(pixel_values=pixel_values).pooler_output)


class Texts(torch.nn.Module):
    """CLIP's side for texts."""

    def __init__(self, model: CLIPModel) -> None:
        super().__init__()
        self.text, self.projection = model.text_model, model.text_projection

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        found = self.text(input_ids=input_ids, attention_mask=attention_mask)
        return self.projection(found.pooler_output)


def write_network(folder: Path, used: list[int], tokens: list[list[int]]) -> None:
    """Export both sides, and record what PyTorch gives."""
    torch.manual_seed(0)
    narrow = {
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
    }
    special = {"bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407}
    config = CLIPConfig(
        text_config={**narrow, **special, "vocab_size": 49408, "max_position_embeddings": 77},
        vision_config={**narrow, "image_size": 224, "patch_size": 32},
        projection_dim=512,
        attn_implementation="eager",
    )
    model = CLIPModel(config).eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1:  # as they are made, all pictures would have nearly the same vector
                weights.normal_(0, 0.5 if "patch" not in name else 0.05)
        table = model.text_model.embeddings.token_embedding.weight
        unused = np.setdiff1d(np.arange(49408), used)
        table[torch.from_numpy(unused)] = 0
    pixels = torch.randn(1, 3, 224, 224)
    texts, mask = padded(tokens[:12])
    export(Images(model), (pixels,), ["pixel_values"], "image_embeds", folder / "images.onnx.gz")
    both = ["input_ids", "attention_mask"]
    export(Texts(model), (texts, mask), both, "text_embeds", folder / "texts.onnx.gz")
    with torch.no_grad():
        np.savez_compressed(
            folder / "expected.npz",
            texts=np.stack([Texts(model)(*padded([ids]))[0].numpy() for ids in tokens[:12]]),
        )


def padded(tokens: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens of one length, and which of them are a text's."""
    length = max(map(len, tokens))
    ids = torch.tensor([row + [49407] * (length - len(row)) for row in tokens])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in tokens])
    return ids, mask


def export(
    module: torch.nn.Module, inputs: tuple, names: list[str], output: str, path: Path
) -> None:
    """Write an ONNX file with open batch and length, compressed."""
    axes = {name: {0: "N", 1: "T"} if name != "pixel_values" else {0: "N"} for name in names}
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "model.onnx"
        torch.onnx.export(
            module.eval(),
            inputs,
            str(plain),
            input_names=names,
            output_names=[output],
            dynamic_axes={**axes, output: {0: "N"}},
            opset_version=17,
            dynamo=False,
        )
        path.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
