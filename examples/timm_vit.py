"""Save a timm ViT with random weights, as a checkpoint to try `caebench eval` on.

Usage: python examples/timm_vit.py vit.pth
"""

import sys

import timm
import torch


def main(path: str, name: str = "vit_tiny_patch16_224") -> None:
    """Write the state dict of one of timm's networks."""
    torch.manual_seed(0)
    torch.save(timm.create_model(name, pretrained=False, num_classes=0).state_dict(), path)
    print(f"{path}: {name}, random weights. Next: caebench eval {path}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
