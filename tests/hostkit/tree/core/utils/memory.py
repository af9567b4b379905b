from core.utils.factory import make


def create_instance(class_name, *args, **kwargs):
    return make(f"core/providers/memory/{class_name}/{class_name}.py", "MemoryProvider", *args, **kwargs)
