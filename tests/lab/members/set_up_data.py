

NAMES = ["train", "valid", "test"]
SIZES = dict(zip(NAMES, (0.8, 0.1, 0.1)))
print("splits", SIZES)
