"""timm's DINOv2 ViTs at 224 px, batch 32, forward_features: images a second, a JSON line each.

    python3 inference.py [seconds]
"""
import json
import sys
import time

import timm
import torch

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 8
pictures = torch.randn(32, 3, 224, 224)
for size in ('small', 'base'):
    network = timm.create_model(f'vit_{size}_patch14_dinov2', img_size=224, pretrained=False).eval()
    for kind in ('fp32', 'bf16'):
        own, given = (network, pictures) if kind == 'fp32' else (network.bfloat16(), pictures.bfloat16())
        with torch.inference_mode():
            own.forward_features(given)
            began, count = time.time(), 0
            while time.time() - began < SECONDS:
                own.forward_features(given)
                count += 1
        took = (time.time() - began) / count
        print(json.dumps({'peer': f'timm {timm.__version__}', 'model': size, 'type': kind, 'ms': round(1000 * took, 1),
                          'images/s': round(32 / took, 2), 'threads': torch.get_num_threads()}), flush=True)
