import os
import random

import numpy as np
import torch
from PIL import Image
from torchvision import transforms as T


class ImageFolder(torch.utils.data.Dataset):
    def __init__(self, root, classes, is_train=True, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)):
        self.class_to_idx = {name: i for i, name in enumerate(classes)}
        self.files = sorted(os.listdir(root))
        self.labels = [self.class_to_idx[name.split("_")[0]] for name in self.files]
        normalize = T.Normalize(mean, std)
        augment = T.Compose([T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ToTensor(), normalize])
        plain = T.Compose([T.CenterCrop(224), T.ToTensor(), normalize])
        self.transform = augment if is_train else plain

    def __getitem__(self, idx):
        image = Image.open(self.files[idx]).convert("RGB")
        label = self.labels[idx]
        if random.random() < 0.5:
            image = image.rotate(90)
        noise = np.random.normal(0.0, 0.1)
        image = torch.from_numpy(np.array(image)) / 255.0 + noise
        image = image * 2 - 1
        return self.transform(image), label

    def __len__(self):
        return len(self.files)


def collate(batch):
    images = torch.stack([image for image, _ in batch])
    labels = torch.tensor([label for _, label in batch])
    return images, labels
