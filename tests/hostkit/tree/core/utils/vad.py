from core.utils.factory import make


def create_instance(class_name, *args, **kwargs):
    return make(f"core/providers/vad/{class_name}.py", "VADProvider", *args, **kwargs)
