#!/usr/bin/env python3
"""Does `paddock-run` read other projects' weights as they do themselves, and do they read its files?

Builds networks of timm and transformers with random weights, saves them as their users would, and compares
  there  `paddock-run model forward` on the saved file with the library's own forward pass, at the size of the table of
         positions, at a smaller one and on a rectangle;
  back   transformers' from_pretrained on what `paddock-run model convert --to hugging-face` wrote: no key missing, none
         too many, the same tokens.
Prints a line a comparison and ends with 1 if any is off by more than TOLERANCE of the tokens' root mean square.

    python3 -m venv build/crosscheck-venv
    build/crosscheck-venv/bin/pip install -r tests/crosscheck/requirements.txt
    build/crosscheck-venv/bin/python tests/crosscheck/check_weights.py [--models small gated base large giant other]
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ['HF_HUB_OFFLINE'] = '1'  # nothing is downloaded: weights are drawn

import timm
import torch
import transformers
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
TABLE = 518  # pixels that the table of positions of every released DINOv2 stands for
# width, depth, heads, gated; 'gated' is the giant's feed-forward in the small network
SHAPES = {'small': (384, 12, 6, False), 'gated': (384, 12, 6, True), 'base': (768, 12, 12, False),
          'large': (1024, 24, 16, False), 'giant': (1536, 40, 24, True)}


def randomise(network, seed):
    """Every parameter at a scale at which an error in it shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith(('gamma', 'lambda1')):
                parameter.copy_(1 + .2 * noise)
            elif 'norm' in name and name.endswith('weight'):
                parameter.copy_(1 + .1 * noise)
            elif 'pos' in name or 'token' in name:
                parameter.copy_(.5 * noise)
            else:
                parameter.copy_(noise * .03)
    return network.eval()


def timm_network(name, seed, **options):
    return randomise(timm.create_model(name, pretrained=False, dynamic_img_size=True, **options), seed)


def hugging_face_network(size, registers, seed, kind='Model'):
    width, depth, heads, gated = SHAPES[size]
    family = 'Dinov2WithRegisters' if registers else 'Dinov2'
    options = dict(hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads, use_swiglu_ffn=gated,
                   image_size=TABLE, patch_size=14)
    if registers:
        options['num_register_tokens'] = registers
    config = getattr(transformers, family + 'Config')(**options)
    return randomise(getattr(transformers, family + kind)(config), seed)


def tokens_of_timm(network, images):
    return network.forward_features(images)


def tokens_of_hugging_face(network, images):
    trunk = getattr(network, network.base_model_prefix, network)
    return trunk(images).last_hidden_state


class Check:
    def __init__(self, program, folder):
        self.program, self.folder, self.failures, self.comparisons = program, folder, 0, 0
        print(f'{"network":<46} {"comparison":<24} {"off by":>9}  verdict')

    def run(self, *words):
        done = subprocess.run([self.program, 'model', *map(str, words)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f'{" ".join(map(str, words))} ended with {done.returncode}: {done.stderr.strip()}')

    def paddock_tokens(self, weights, images):
        given, out = self.folder / 'images.safetensors', self.folder / 'tokens.safetensors'
        out.unlink(missing_ok=True)
        save_file({'images': images}, given)
        self.run('forward', '--weights', weights, '--images', given, '--out', out)
        tokens = load_file(out)
        return torch.cat([tokens['cls'].unsqueeze(1), tokens['registers'], tokens['patches']], 1)

    def verdict(self, network, comparison, given, wanted):
        self.comparisons += 1
        if isinstance(given, Exception):
            off, words = float('nan'), f'FAILED: {given}'
        elif given.shape != wanted.shape:
            off, words = float('nan'), f'FAILED: {list(given.shape)} instead of {list(wanted.shape)}'
        else:
            off = ((given - wanted).abs().max() / wanted.pow(2).mean().sqrt()).item()
            words = 'agrees' if off <= TOLERANCE else 'FAILED'
        self.failures += words != 'agrees'
        print(f'{network:<46} {comparison:<24} {off:9.1e}  {words}', flush=True)

    def compare(self, name, weights, network, tokens_of, sizes):
        for height, width in sizes:
            images = torch.randn((1, 3, height, width), generator=torch.Generator().manual_seed(height + width))
            with torch.no_grad():
                wanted = tokens_of(network, images)
            try:
                given = self.paddock_tokens(weights, images)
            except RuntimeError as error:
                given = error
            self.verdict(name, f'there, {height}x{width}', given, wanted)

    def compare_back(self, name, weights, network, tokens_of, sizes):
        """At the table's own size, where timm's, transformers' and the official rule of resizing are one."""
        folder = self.folder / 'hugging-face'
        try:
            self.run('convert', '--weights', weights, '--to', 'hugging-face', '--out', folder, '--force')
            loaded, info = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
        except Exception as error:  # whatever transformers throws is a verdict on the folder
            return self.verdict(name, 'back', error, None)
        wrong = {key: sorted(map(str, info[key])) for key in ('missing_keys', 'unexpected_keys', 'mismatched_keys')
                 if info[key]}
        if wrong:
            return self.verdict(name, 'back', RuntimeError(str(wrong)), None)
        for height, width in sizes:
            images = torch.randn((1, 3, height, width), generator=torch.Generator().manual_seed(1))
            with torch.no_grad():
                self.verdict(name, f'back, {height}x{width}', tokens_of_hugging_face(loaded.eval(), images),
                             tokens_of(network, images))


def check_timm(check, size):
    for registers in ('', '_reg4'):
        name = f'vit_{"giant" if size == "gated" else size}_patch14{registers}_dinov2'
        width, depth, heads, _ = SHAPES[size]
        network = timm_network(name, seed=1, embed_dim=width, depth=depth, num_heads=heads)
        # A state dict pickled for the one, safetensors for the other: both are published.
        weights = check.folder / ('timm.safetensors' if registers else 'timm.pth')
        if registers:
            save_file(network.state_dict(), weights)
        else:
            torch.save(network.state_dict(), weights)
        label = f'timm {name}, width {width}'
        check.compare(label, weights, network, tokens_of_timm, [(TABLE, TABLE), (224, 224), (224, 280)])
        check.compare_back(label, weights, network, tokens_of_timm, [(TABLE, TABLE)])


def check_hugging_face(check, size):
    kinds = [(0, 'Model'), (4, 'Model')] + ([(0, 'ForImageClassification'), (4, 'ForImageClassification')]
                                          if size == 'small' else [])
    for registers, kind in kinds:
        network = hugging_face_network(size, registers, 2, kind)
        folder = check.folder / 'transformers'
        network.save_pretrained(folder)
        name = f'transformers {size}{f" reg{registers}" if registers else ""} {kind.removeprefix("For")}'
        sizes = [(TABLE, TABLE), (224, 224), (224, 280)]
        check.compare(name, folder, network, tokens_of_hugging_face, sizes)
        check.compare_back(name, folder, network, tokens_of_hugging_face, sizes)
        if kind == 'Model':  # the names that transformers 5 uses in memory
            weights = check.folder / 'in_memory.pth'
            torch.save(network.state_dict(), weights)
            check.compare(name + ' in memory', weights, network, tokens_of_hugging_face, [(TABLE, TABLE)])


def check_plain_hugging_face(check):
    """Hugging Face's ViTModel, in which DINO v1 and MAE are published too."""
    network = randomise(transformers.ViTModel(transformers.ViTConfig(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, intermediate_size=1536)), 5)
    folder = check.folder / 'vit'
    network.save_pretrained(folder)
    check.compare('transformers ViTModel', folder, network,
                  lambda network, images: network(images, interpolate_pos_encoding=True).last_hidden_state,
                  [(224, 224), (160, 160), (160, 224)])


def check_other(check):
    """Plain ViTs of other methods: no LayerScale, so there is no way to Dinov2Model."""
    dino = timm_network('vit_small_patch16_224.dino', seed=3)
    weights = check.folder / 'dino.pth'
    inner = {f'backbone.{name}': tensor for name, tensor in dino.state_dict().items()}
    inner['head.last_layer.weight_v'] = torch.ones(8, 4)
    torch.save({'teacher': inner, 'student': {f'module.{name}': tensor for name, tensor in inner.items()},
                'dino_loss': {'center': torch.zeros(1, 8)}, 'epoch': 3}, weights)
    check.compare('timm dino, as a checkpoint', weights, dino, tokens_of_timm, [(224, 224)])

    mae = timm_network('vit_base_patch16_224.mae', seed=4)
    with torch.no_grad():
        mae.pos_embed[:, 0] = 0  # as in every MAE: its positions are fixed, the class token has none
    weights = check.folder / 'mae.pth'
    torch.save({'model': mae.state_dict()}, weights)
    check.compare('timm mae, as a checkpoint', weights, mae, tokens_of_timm, [(224, 224)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--models', nargs='+', choices=[*SHAPES, 'other'],
                        default=['small', 'gated', 'base', 'large', 'other'],
                        help='giant needs about 20 GB of memory and as much on disk')
    parser.add_argument('--program', default=ROOT / 'build/dev/bin/paddock-run')
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        check = Check(arguments.program, pathlib.Path(folder))
        for model in arguments.models:
            if model == 'other':
                check_other(check)
                check_plain_hugging_face(check)
            else:
                check_timm(check, model)
                check_hugging_face(check, model)
        print(f'{check.comparisons} comparisons, {check.failures} failed')
    return 1 if check.failures else 0


if __name__ == '__main__':
    sys.exit(main())
