"""The seven folders at the root are the packages `diarchy.<folder>`; all of their sub-packages and data files go along."""
from setuptools import find_packages, setup

FOLDERS = ("history", "checkers", "clusters", "nemeses", "workloads", "reports", "harness")
packages = [f"diarchy.{folder}{sub}" for folder in FOLDERS for sub in ("", *(f".{p}" for p in find_packages(folder)))]

setup(
    packages=packages,
    package_dir={f"diarchy.{folder}": folder for folder in FOLDERS},
    package_data={package: ["**/*"] for package in packages},
    exclude_package_data={"": ["__pycache__/*", "*.pyc"]},
)
