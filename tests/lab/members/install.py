from setuptools import find_packages, setup

setup(
    name="trainer",
    version="0.3.1",
    packages=find_packages(),
    install_requires=["torch==2.3.0", "numpy>=1.24", "transformers==4.41.2"],
)
