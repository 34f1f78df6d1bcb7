"""DINOv2's ten views by torchvision on PIL, decoding included, one core: pictures a second, a JSON line.

    OMP_NUM_THREADS=1 python3 views.py FOLDER_OF_JPEGS [seconds]
"""
import io
import json
import pathlib
import random
import sys
import time

import PIL
import torch
import torchvision
from PIL import Image, ImageFilter, ImageOps
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode

torch.set_num_threads(1)
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 15


class Blur:
    def __init__(self, probability):
        self.probability = probability

    def __call__(self, picture):
        if random.random() >= self.probability:
            return picture
        return picture.filter(ImageFilter.GaussianBlur(random.uniform(.1, 2)))


class Solarize:
    def __call__(self, picture):
        return ImageOps.solarize(picture) if random.random() < .2 else picture


def view(size, scale, *extra):
    return T.Compose([T.RandomResizedCrop(size, scale, interpolation=InterpolationMode.BICUBIC), T.RandomHorizontalFlip(),
                      T.RandomApply([T.ColorJitter(.4, .4, .2, .1)], .8), T.RandomGrayscale(.2), *extra, T.ToTensor(),
                      T.Normalize((.485, .456, .406), (.229, .224, .225))])


# Blur as the released models had it: never, nine in ten, half.
views = [view(224, (.32, 1), Blur(0.)), view(224, (.32, 1), Blur(.9), Solarize())] + 8 * [view(98, (.05, .32), Blur(.5))]
files = [path.read_bytes() for path in sorted(pathlib.Path(sys.argv[1]).rglob('*')) if path.suffix.lower() in ('.jpg', '.jpeg')]
began, count = time.time(), 0
while time.time() - began < SECONDS:
    picture = Image.open(io.BytesIO(files[count % len(files)])).convert('RGB')
    for make in views:
        make(picture)
    count += 1
took = (time.time() - began) / count
print(json.dumps({'peer': f'torchvision {torchvision.__version__} on PIL {PIL.__version__}', 'ms': round(1000 * took, 2),
                  'images/s': round(1 / took, 1)}))
