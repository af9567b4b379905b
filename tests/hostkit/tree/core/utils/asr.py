from core.utils.factory import make


def create_instance(class_name, *args, **kwargs):
    return make(f"core/providers/asr/{class_name}.py", "ASRProvider", *args, **kwargs)
