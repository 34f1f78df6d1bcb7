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
    build/crosscheck-venv/bin/python tests/crosscheck/check_weights.py \
        [--models small gated base large giant other clip ijepa]
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ['HF_HUB_OFFLINE'] = '1'  # nothing is downloaded: weights are drawn

import numpy
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


def tokens_of_hugging_face_clip(network, images):
    """All through the last norm, which transformers gives the class token alone."""
    trunk = getattr(network, 'vision_model', network)
    output = trunk(images, interpolate_pos_encoding=True)
    tokens = trunk.post_layernorm(output.last_hidden_state)
    assert torch.equal(tokens[:, 0], output.pooler_output)
    return tokens


def with_mean_in_front(tokens):
    """What stands for the picture where no class token does."""
    return torch.cat([tokens.mean(1, keepdim=True), tokens], 1)


def tokens_of_hugging_face_ijepa(network, images):
    return with_mean_in_front(network(images, interpolate_pos_encoding=True).last_hidden_state)


def tokens_of_timm_ijepa(network, images):
    return with_mean_in_front(network.forward_features(images))


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

    def paddock_tokens(self, weights, images, *more):
        given, out = self.folder / 'images.safetensors', self.folder / 'tokens.safetensors'
        out.unlink(missing_ok=True)
        save_file({'images': images}, given)
        self.run('forward', '--weights', weights, '--images', given, '--out', out, *more)
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

    def compare(self, name, weights, network, tokens_of, sizes, *more):
        channels = next(parameter.shape[1] for parameter in network.parameters() if parameter.dim() == 4)
        for height, width in sizes:
            images = torch.randn((1, channels, height, width), generator=torch.Generator().manual_seed(height + width))
            with torch.no_grad():
                wanted = tokens_of(network, images)
            try:
                given = self.paddock_tokens(weights, images, *more)
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


def check_hugging_face_clip(check):
    sizes = [(224, 224), (160, 160), (160, 224)]
    vision = dict(hidden_size=192, num_hidden_layers=3, num_attention_heads=3, intermediate_size=500, patch_size=16)
    for activation in ('quick_gelu', 'gelu'):
        network = randomise(transformers.CLIPVisionModel(transformers.CLIPVisionConfig(
            hidden_act=activation, **vision)), 6)
        folder = check.folder / f'clip-{activation}'
        network.save_pretrained(folder)
        name = f'transformers CLIPVisionModel {activation}'
        check.compare(name, folder, network, tokens_of_hugging_face_clip, sizes)
        weights = check.folder / 'clip.pth'  # without its config
        torch.save(network.state_dict(), weights)
        check.compare(name + ' alone', weights, network, tokens_of_hugging_face_clip, sizes[:1],
                      '--activation', activation)
    both = randomise(transformers.CLIPModel(transformers.CLIPConfig(
        text_config=dict(hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=64),
        vision_config=dict(hidden_act='gelu', **vision | dict(num_attention_heads=4)), projection_dim=32)), 7)
    folder = check.folder / 'clip-both'
    both.save_pretrained(folder)
    check.compare('transformers CLIPModel, heads of 48', folder, both, tokens_of_hugging_face_clip, sizes)


def timm_folder(check, name, network, **config):
    """As timm's models lie on the Hub."""
    folder = check.folder / name
    folder.mkdir(exist_ok=True)
    save_file(network.state_dict(), folder / 'model.safetensors')
    (folder / 'config.json').write_text(json.dumps({'architecture': name} | config))
    return folder


def check_timm_clip(check):
    sizes = [(224, 224), (160, 160), (160, 224)]
    small = dict(embed_dim=192, depth=3, num_heads=3)
    for name in ('vit_base_patch16_clip_quickgelu_224', 'vit_base_patch16_clip_224'):
        network = timm_network(name, 8, **small)
        check.compare(f'timm {name}', timm_folder(check, name, network), network, tokens_of_timm, sizes)
    name = 'vit_huge_patch14_clip_quickgelu_224'
    huge = timm_network(name, 9, embed_dim=320, depth=2, num_heads=4)
    check.compare('timm clip huge, heads of 80', timm_folder(check, name, huge), huge, tokens_of_timm,
                  [(224, 224), (168, 224)], '--heads', '4')


def open_clip_weights(width, depth, hidden, patch, side, seed):
    """A state dict of OpenCLIP, both towers, as its constructors name and shape it."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape, scale=.03):
        return scale * torch.randn(shape, generator=generator)

    def norm(name, wide):
        return {f'{name}.weight': 1 + noise(wide, scale=.1), f'{name}.bias': noise(wide)}

    def transformer(prefix, wide, inner, blocks):
        weights = {}
        for i in range(blocks):
            block = f'{prefix}transformer.resblocks.{i}.'
            weights |= norm(block + 'ln_1', wide) | norm(block + 'ln_2', wide) | {
                block + 'attn.in_proj_weight': noise(3 * wide, wide), block + 'attn.in_proj_bias': noise(3 * wide),
                block + 'attn.out_proj.weight': noise(wide, wide), block + 'attn.out_proj.bias': noise(wide),
                block + 'mlp.c_fc.weight': noise(inner, wide), block + 'mlp.c_fc.bias': noise(inner),
                block + 'mlp.c_proj.weight': noise(wide, inner), block + 'mlp.c_proj.bias': noise(wide)}
        return weights

    return (transformer('visual.', width, hidden, depth) | norm('visual.ln_pre', width) |
            norm('visual.ln_post', width) | transformer('', 64, 256, 1) | norm('ln_final', 64) |
            {'visual.class_embedding': noise(width, scale=.5),
             'visual.positional_embedding': noise(1 + side * side, width, scale=.5),
             'visual.conv1.weight': noise(width, 3, patch, patch), 'visual.proj': noise(width, 32),
             'positional_embedding': noise(77, 64), 'text_projection': noise(64, 32),
             'token_embedding.weight': noise(100, 64), 'logit_scale': torch.tensor(4.6)})


def check_open_clip(check):
    """OpenCLIP's names, which timm reads too."""
    for activation, quick in (('quick_gelu', True), ('gelu', False)):
        weights = open_clip_weights(width=192, depth=3, hidden=500, patch=16, side=14, seed=10)
        name = 'vit_base_patch16_clip_quickgelu_224' if quick else 'vit_base_patch16_clip_224'
        network = timm.create_model(name, pretrained=False, dynamic_img_size=True, embed_dim=192, depth=3, num_heads=3,
                                    mlp_ratio=500 / 192, num_classes=32).eval()
        network.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(dict(weights), network))
        folder = check.folder / f'open-clip-{activation}'
        folder.mkdir()
        save_file(weights, folder / 'open_clip_model.safetensors')
        (folder / 'open_clip_config.json').write_text(json.dumps(
            {'model_cfg': {'embed_dim': 32, 'quick_gelu': quick, 'vision_cfg': {'width': 192, 'layers': 3}}}))
        check.compare(f'OpenCLIP {activation}', folder, network, tokens_of_timm,
                      [(224, 224), (160, 160), (160, 224)])
    checkpoint = check.folder / 'open_clip.pt'
    torch.save({'epoch': 3, 'state_dict': {f'module.{key}': value for key, value in weights.items()}}, checkpoint)
    check.compare('OpenCLIP gelu, as a checkpoint', checkpoint, network, tokens_of_timm, [(224, 224)],
                  '--activation', 'gelu')


def check_hugging_face_ijepa(check):
    sizes = [(224, 224), (160, 160), (160, 224)]
    network = randomise(transformers.IJepaModel(transformers.IJepaConfig(
        hidden_size=192, num_hidden_layers=3, num_attention_heads=3, intermediate_size=768, layer_norm_eps=1e-6)), 11)
    folder = check.folder / 'hf-ijepa'
    network.save_pretrained(folder)
    check.compare('transformers IJepaModel', folder, network, tokens_of_hugging_face_ijepa, sizes)
    weights = check.folder / 'hf-ijepa.pth'  # the names that transformers 5 uses in memory
    torch.save(network.state_dict(), weights)
    check.compare('transformers IJepaModel in memory', weights, network, tokens_of_hugging_face_ijepa, sizes[:1])


def sines_and_cosines(width, side):
    """I-JEPA's fixed positions: column, then row, each as its sines and then its cosines."""
    rows, columns = numpy.mgrid[0:side, 0:side].reshape(2, -1)
    turns = 10000. ** -(numpy.arange(width // 4) / (width / 4.))
    parts = [function(numpy.outer(of, turns)) for of in (columns, rows) for function in (numpy.sin, numpy.cos)]
    return torch.from_numpy(numpy.concatenate(parts, 1)).float().unsqueeze(0)


def check_ijepa(check):
    """A checkpoint of the original code, whose encoder timm reads; the target encoder is the same with other numbers."""
    def network_of(seed):
        network = timm_network('vit_huge_patch14_gap_224', seed, embed_dim=192, depth=3, num_heads=3, mlp_ratio=48 / 11,
                               num_classes=0)
        with torch.no_grad():
            network.pos_embed.copy_(sines_and_cosines(192, 16))
        return network

    def named(network):
        return {f'module.{key}': value for key, value in network.state_dict().items()}

    encoder, target = network_of(12), network_of(13)
    checkpoint = {'encoder': named(encoder), 'target_encoder': named(target),
                  'predictor': {'module.mask_token': torch.ones(1, 1, 96),
                                'module.predictor_pos_embed': torch.ones(1, 256, 96)},
                  'opt': {'state': {0: {'exp_avg': torch.ones(3)}}}, 'scaler': None, 'epoch': 7, 'loss': .2}
    weights = check.folder / 'ijepa-ep7.pth.tar'
    torch.save(checkpoint, weights)
    read_by_timm = network_of(14)
    read_by_timm.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(dict(checkpoint), read_by_timm))
    check.compare('I-JEPA, encoder as timm reads it', weights, read_by_timm, tokens_of_timm_ijepa, [(224, 224)],
                  '--role', 'student')
    check.compare('I-JEPA, target encoder', weights, target, tokens_of_timm_ijepa, [(224, 224)])


def check_rectangles(check):
    """Tables of positions that are no squares, and images of other channels than three."""
    name = 'vit_small_patch14_dinov2'
    own = (224, 280)
    network = timm_network(name, seed=15, img_size=own)
    weights = check.folder / 'rectangle.safetensors'
    save_file(network.state_dict(), weights)
    check.compare(f'timm {name}, table of 16x20', weights, network, tokens_of_timm,
                  [own, (280, 224), (168, 252), (336, 336)], '--grid', '16x20')
    registers = timm_network('vit_small_patch14_reg4_dinov2', seed=16, img_size=own, in_chans=4)
    save_file(registers.state_dict(), weights)
    check.compare('timm with registers, 4 channels, table of 16x20', weights, registers, tokens_of_timm,
                  [own, (140, 350)], '--grid', '16x20')
    grey = timm_network(name, seed=17, img_size=140, in_chans=1)
    save_file(grey.state_dict(), weights)
    check.compare(f'timm {name}, 1 channel', weights, grey, tokens_of_timm, [(140, 140), (112, 168)])
    # transformers says the size in its config.json and computes a rectangle at its own grid alone.
    plain = randomise(transformers.ViTModel(transformers.ViTConfig(
        hidden_size=384, num_hidden_layers=3, num_attention_heads=6, intermediate_size=1536, image_size=[160, 224],
        num_channels=4)), 18)
    folder = check.folder / 'rectangle'
    plain.save_pretrained(folder)
    check.compare('transformers ViTModel, 4 channels, 160x224', folder, plain,
                  lambda network, images: network(images).last_hidden_state, [(160, 224)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--models', nargs='+', choices=[*SHAPES, 'other', 'clip', 'ijepa', 'rectangles'],
                        default=['small', 'gated', 'base', 'large', 'other', 'clip', 'ijepa', 'rectangles'],
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
            elif model == 'clip':
                check_hugging_face_clip(check)
                check_timm_clip(check)
                check_open_clip(check)
            elif model == 'ijepa':
                check_hugging_face_ijepa(check)
                check_ijepa(check)
            elif model == 'rectangles':
                check_rectangles(check)
            else:
                check_timm(check, model)
                check_hugging_face(check, model)
        print(f'{check.comparisons} comparisons, {check.failures} failed')
    return 1 if check.failures else 0


if __name__ == '__main__':
    sys.exit(main())
