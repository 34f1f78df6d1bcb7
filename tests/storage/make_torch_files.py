#!/usr/bin/env python3
"""Writes tests/storage/fixtures/*.pth and *.pt, what torch.save itself makes of the cases of tests/storage/torch_file_test.cpp.

    .venv/bin/python tests/storage/make_torch_files.py

The files are committed, so that the tests need no Python; those here are of torch 2.11.0. Values are counted up or
written out, so that the test can name them. Running this again changes the older file's storage keys (addresses) only.
"""
import argparse
import collections
import os
import pathlib
import sys
import types
import zipfile

import torch

FOLDER = pathlib.Path(__file__).parent / 'fixtures'


def counted(*shape, start=0, dtype=torch.float32):
    return torch.arange(start, start + torch.Size(shape).numel(), dtype=dtype).reshape(shape)


def save(name, value, **options):
    torch.save(value, FOLDER / name, **options)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = torch.nn.Linear(3, 2)
        self.norm = torch.nn.BatchNorm1d(2)
        with torch.no_grad():
            self.patch.weight.copy_(counted(2, 3))
            self.patch.bias.copy_(torch.tensor([-1.0, 0.5]))


class Scripted(torch.nn.Module):
    """Modules in modules and in a list, a buffer, attributes of every kind that a compiled module keeps."""
    sizes: list[int]
    kept: list[torch.Tensor]

    def __init__(self):
        super().__init__()
        self.visual = Network()
        self.blocks = torch.nn.ModuleList([torch.nn.Linear(2, 1, bias=False) for _ in range(2)])
        self.register_buffer('mask', counted(3, dtype=torch.int64))
        self.sizes, self.kept, self.name, self.scale = [224, 14], [counted(2, start=7)], 'scripted', 0.5
        for i, block in enumerate(self.blocks):
            torch.nn.init.constant_(block.weight, i)

    def forward(self, x):
        x = self.visual.patch(x)
        for block in self.blocks:
            x = x + block(x)
        return x * self.scale + self.mask[0] + self.kept[0] + self.sizes[0]


class Trap:
    """Unpickling this would run a command."""

    def __reduce__(self):
        return os.system, ('touch torch_file_was_executed',)


def numpy_scalar():
    """An object that pickles as a numpy scalar does, without numpy."""
    for name in ('numpy', 'numpy.core', 'numpy.core.multiarray'):
        module = sys.modules[name] = types.ModuleType(name)

    def scalar(dtype, content):
        return dtype, content

    scalar.__module__, scalar.__qualname__ = 'numpy.core.multiarray', 'scalar'
    module.scalar = scalar

    class Scalar:
        def __reduce__(self):
            return scalar, ('f8', b'\0\0\0\0\0\0\xf0\x3f')

    return Scalar()


def training():
    network = Network()
    optimizer = torch.optim.AdamW(network.patch.parameters(), lr=0.25)
    network.patch(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {
        'teacher': {'backbone': {'cls_token': counted(1, 1, 4), 'blocks': [counted(2), counted(2, start=2)]}},
        'student': collections.OrderedDict([('module.cls_token', counted(1, 1, 4, start=10))]),
        'counts': collections.defaultdict(list, {'seen': torch.tensor(7)}),
        'optimizer': optimizer.state_dict(),
        'args': argparse.Namespace(arch='vit_small', lr=0.1, sizes=[1, 2]),
        'loss': numpy_scalar(),
        'tags': {'a'},
        'path': pathlib.PurePosixPath('a/b'),
        'epoch': 3, 'seed': 2 ** 70, 'lr': 1e-3, 'done': False, 'name': 'run', 'nothing': None, 'raw': b'\1\2',
        'device': torch.device('cpu'), 'dtype': torch.float16, 'shape': torch.Size([2, 3]),
    }


def layouts():
    grid = counted(3, 4)
    with_attribute = counted(2, start=40)
    with_attribute.note = 'kept beside the tensor'
    return {
        'grid': grid,
        'transposed': grid.t(),
        'column': grid[:, 1],
        'rows': grid[1:],
        'every_second': grid[::2, ::3],
        'expanded': torch.tensor([5.0, 6.0]).reshape(2, 1).expand(2, 3),
        'permuted': counted(2, 1, 3).permute(2, 1, 0),
        'scalar': torch.tensor(2.5, dtype=torch.float64),
        'empty': torch.zeros(0, 3),
        'parameter': torch.nn.Parameter(counted(2, start=30)),
        'with_attribute': with_attribute,
        'half': torch.tensor([1.0, -2.0], dtype=torch.float16),
        'bfloat': torch.tensor([1.0, -2.0], dtype=torch.bfloat16),
        'bool': torch.tensor([True, False, True]),
        'int8': torch.tensor([-1, 2], dtype=torch.int8),
        'uint8': torch.tensor([255, 2], dtype=torch.uint8),
        'int16': torch.tensor([-300], dtype=torch.int16),
        'int32': torch.tensor([-70000], dtype=torch.int32),
        'int64': torch.tensor([-5000000000]),
        'uint16': torch.tensor([65535], dtype=torch.uint16),
        'float8': torch.tensor([1.0, -2.0]).to(torch.float8_e4m3fn),
        'complex': torch.zeros(2, dtype=torch.complex64),
        'negated': torch.zeros(2, dtype=torch.complex64).conj().imag,
        'storage': torch.zeros(2).untyped_storage(),
    }


def scripted():
    """Without the entries that tell where each line of code stood: they name folders of the machine that made the file."""
    whole = FOLDER / 'scripted.whole'
    torch.jit.script(Scripted()).half().save(whole)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(FOLDER / 'scripted.pt', 'w') as kept:
        for name in archive.namelist():
            if not name.endswith('.debug_pkl'):
                kept.writestr(zipfile.ZipInfo(name), archive.read(name), archive.getinfo(name).compress_type)
    whole.unlink()


def main():
    FOLDER.mkdir(exist_ok=True)
    save('state_dict.pth', Network().state_dict())
    save('training.pth', training())
    save('layouts.pth', layouts())
    save('tensor.pth', counted(2, 2))
    save('trap.pth', {'weight': counted(2), 'trap': Trap()})
    save('module.pth', torch.nn.Linear(2, 1))
    scripted()
    save('bomb.pth', {'weight': torch.zeros(1).expand(1 << 20, 1 << 20)})
    save('protocol_4.pth', training(), pickle_protocol=4)
    save('older.pth', {'grid': counted(2, 3), 'row': counted(2, 3)[1], 'half': counted(3, dtype=torch.float16),
                       'uint16': counted(3, dtype=torch.int32).to(torch.uint16), 'args': argparse.Namespace(lr=1)},
         _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    save('unchecked.pth', {'grid': counted(2, 3), 'row': counted(2, 3)[1], 'list': [counted(2).t()]})
    torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(FOLDER / 'tensor.pth') as whole, \
            zipfile.ZipFile(FOLDER / 'compressed.pth', 'w', zipfile.ZIP_DEFLATED) as compressed:
        for name in whole.namelist():
            compressed.writestr(zipfile.ZipInfo(name), whole.read(name), zipfile.ZIP_DEFLATED)


main()
