import importlib
import pkgutil


def auto_import_modules(package_name):
    """Import every module of a package; what one raises is not caught."""
    package = importlib.import_module(package_name)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package_name}.{module.name}")
