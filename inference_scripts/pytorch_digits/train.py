"""Train a small convolutional network to read handwritten digits of 8 x 8 pixels.

Writes OUT_DIR/model.pt2, made by torch.export, and OUT_DIR/code/inference.py beside it.
"""

import argparse
import shutil
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 12


class Network(nn.Module):
    """Images of shape (rows, 8, 8), grey levels from 0 to 16, to logits of shape (rows, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 2 * 2, 10),
        )

    def forward(self, images: Tensor) -> Tensor:
        # Scaling belongs to the model, so that training and serving cannot differ in it.
        logits: Tensor = self.layers(images.unsqueeze(1) / 16)
        return logits


def fit(network: Network, images: Tensor, digits: Tensor) -> None:
    batches = DataLoader(TensorDataset(images, digits), batch_size=64, shuffle=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for epoch in range(EPOCHS):
        for batch, labels in batches:
            loss = nn.functional.cross_entropy(network(batch), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if sys.stdout.isatty():
            print(f"\rEpoch {epoch + 1} of {EPOCHS}, loss {loss:.4f}", end="", flush=True)
    if sys.stdout.isatty():
        print()


def train(out_dir: Path) -> None:
    torch.manual_seed(0)
    # Several threads would be slower on so small a network, and round differently.
    torch.set_num_threads(1)
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)
    digits = torch.tensor(data.target)
    chosen, test = train_test_split(
        range(len(digits)), test_size=0.2, stratify=data.target, random_state=0
    )

    network = Network()
    fit(network, images[chosen], digits[chosen])
    network.eval()
    with torch.inference_mode():
        right = (network(images[test]).argmax(dim=1) == digits[test]).sum().item()
    print(f"Trained on {len(chosen)} images.")
    print(f"Held out {len(test)} images: accuracy {right / len(test):.3f}.")

    rows = torch.export.Dim("rows", min=1, max=4096)
    program = torch.export.export(network, (images[test[:2]],), dynamic_shapes=({0: rows},))
    code = out_dir / "code"
    code.mkdir(parents=True, exist_ok=True)
    torch.export.save(program, out_dir / "model.pt2")
    shutil.copy(Path(__file__).with_name("inference.py"), code)
    print(f"Wrote {out_dir / 'model.pt2'} and {code / 'inference.py'}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out_dir", metavar="OUT_DIR", type=Path, help="folder to write to")
    train(parser.parse_args().out_dir)
