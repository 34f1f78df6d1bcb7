"""The training step of ../training_step.cpp in eager PyTorch, module by module as the paper's reference does it: packed
student crops, float32 losses and targets, foreach AdamW and EMA. Prints one JSON line.

    python3 training_step.py [fp32|bf16] [batch] [seconds]
"""
import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

WIDTH, DEPTH, HEADS, PATCH, PROTOTYPES, HIDDEN, BOTTLENECK, LOCALS = 384, 12, 6, 14, 65536, 2048, 256, 8


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, 1e-6), nn.LayerNorm(WIDTH, 1e-6)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.gain1, self.gain2 = (nn.Parameter(1e-5 * torch.ones(WIDTH)) for _ in range(2))

    def attention(self, x, shapes):
        parts = self.qkv(self.norm1(x)).split([b * t for b, t in shapes], 1)
        outputs = []
        for (b, t), part in zip(shapes, parts):
            q, k, v = part.view(b, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
            outputs.append(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, b * t, WIDTH))
        return self.proj(torch.cat(outputs, 1))

    def forward(self, x, shapes):
        x = x + self.gain1 * self.attention(x, shapes)
        return x + self.gain2 * self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.cls, self.mask = nn.Parameter(torch.zeros(1, 1, WIDTH)), nn.Parameter(torch.zeros(1, WIDTH))
        self.positions = nn.Parameter(.02 * torch.randn(1, 257, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, 1e-6)

    def tokens(self, images, masks):
        x = self.embed(images).flatten(2).transpose(1, 2)
        if masks is not None:
            x = torch.where(masks[..., None], self.mask[None].to(x.dtype), x)
        table, side = self.positions, images.shape[-1] // PATCH
        if side != 16:
            grid = table[:, 1:].reshape(1, 16, 16, WIDTH).permute(0, 3, 1, 2)
            grid = F.interpolate(grid, scale_factor=((side + .1) / 16,) * 2, mode='bicubic')
            table = torch.cat([table[:, :1], grid.flatten(2).transpose(1, 2)], 1)
        return torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + table

    def forward(self, groups):
        tokens = [self.tokens(images, masks) for images, masks in groups]
        shapes = [part.shape[:2] for part in tokens]
        x = torch.cat([part.reshape(1, -1, WIDTH) for part in tokens], 1)
        for block in self.blocks:
            x = block(x, shapes)
        return [part.view(b, t, WIDTH) for (b, t), part in zip(shapes, self.norm(x).split([b * t for b, t in shapes], 1))]


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN), nn.GELU(),
                                 nn.Linear(HIDDEN, BOTTLENECK))
        self.last = nn.utils.weight_norm(nn.Linear(BOTTLENECK, PROTOTYPES, bias=False))

    def forward(self, x):
        return self.last(F.normalize(self.mlp(x), dim=-1))


class Networks(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = Backbone(), Head()


@torch.no_grad()
def sinkhorn(scores, temperature):
    q = (scores.float() / temperature).exp().t()
    prototypes, samples = q.shape
    q /= q.sum()
    for _ in range(3):
        q /= q.sum(1, keepdim=True)
        q /= prototypes
        q /= q.sum(0, keepdim=True)
        q /= samples
    return (q * samples).t()


def cross_entropy(targets, scores):
    return -(targets * F.log_softmax(scores.float() / .1, -1)).sum(-1)


def koleo(x):
    x = F.normalize(x.float(), dim=-1, eps=1e-8)
    with torch.no_grad():
        dots = x @ x.t()
        dots.fill_diagonal_(-1)
        nearest = dots.argmax(1)
    return -(F.pairwise_distance(x, x[nearest], 2, 1e-8) + 1e-8).log().mean()


def main():
    kind = sys.argv[1] if len(sys.argv) > 1 else 'fp32'
    batch = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 60
    torch.manual_seed(1)
    student, teacher = Networks(), Networks()
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False)
    optimiser = torch.optim.AdamW(student.parameters(), lr=1e-4, weight_decay=.04, foreach=True)
    globals_, locals_ = torch.randn(2 * batch, 3, 224, 224), torch.randn(LOCALS * batch, 3, 98, 98)
    masks, weights = torch.zeros(2 * batch, 256, dtype=torch.bool), []
    for i in range(batch):  # as ../training_step.cpp chooses them
        hidden = int((.1 + .4 * (i + .5) / batch) * 256)
        masks[2 * i, torch.arange(hidden) * 256 // hidden] = True
        weights += [1 / hidden] * hidden
    chosen, weights = masks.flatten().nonzero().flatten(), torch.tensor(weights)

    def step():
        with torch.autocast('cpu', torch.bfloat16, enabled=kind == 'bf16'):
            with torch.no_grad():
                tokens = teacher.backbone([(globals_, None)])[0]
                scores = teacher.head(torch.cat([tokens[:, 0], tokens[:, 1:].flatten(0, 1)[chosen]]))
                cls = sinkhorn(scores[:2 * batch], .07).chunk(2)
                patches = sinkhorn(scores[2 * batch:], .07)
            seen, small = student.backbone([(globals_, masks), (locals_, None)])
            scores = student.head(torch.cat([seen[:, 0], small[:, 0], seen[:, 1:].flatten(0, 1)[chosen]]))
            global_scores, local_scores, patch_scores = scores.split([2 * batch, LOCALS * batch, len(chosen)])
            pairs = 2 + 2 * LOCALS
            dino = sum(cross_entropy(target, crop).mean() for crop in local_scores.chunk(LOCALS) for target in cls) / pairs
            dino = dino + sum(cross_entropy(cls[1 - i], crop).mean() for i, crop in enumerate(global_scores.chunk(2))) / pairs
            ibot = (cross_entropy(patches, patch_scores) * weights).sum() / (2 * batch)
            loss = dino + ibot + .1 * sum(koleo(crop) for crop in seen[:, 0].chunk(2))
        optimiser.zero_grad()
        loss.backward()
        for module in (student.backbone, student.head):
            nn.utils.clip_grad_norm_(module.parameters(), 3.)
        optimiser.step()
        with torch.no_grad():
            mine, its = list(teacher.parameters()), list(student.parameters())
            torch._foreach_mul_(mine, .994)
            torch._foreach_add_(mine, its, alpha=1 - .994)
        return loss.item()

    loss = step()
    began, steps = time.time(), 0
    while time.time() - began < seconds or steps < 2:
        step()
        steps += 1
    took = (time.time() - began) / steps
    print(json.dumps({'peer': 'eager PyTorch', 'type': kind, 'batch': batch, 'threads': torch.get_num_threads(),
                      'ms': round(1000 * took, 1), 'images/s': round(batch / took, 3), 'first_loss': round(loss, 4)}))


main()
