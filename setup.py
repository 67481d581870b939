"""The one thing that pyproject.toml cannot say: two folders beside the package are carried inside it."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["pipeline", "pipeline.*"]), "pipeline.conf", "pipeline.data_recipes"])
